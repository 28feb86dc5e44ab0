"""Hyperparameter search for the student in an Optuna study, which a later run can continue."""

import hashlib
import json
from pathlib import Path
from typing import Any, get_args

import optuna

from stillhouse.distillation.check import Kind
from stillhouse.errors import BadInput
from stillhouse.params import Params, check_params
from stillhouse.params import Study as Settings
from stillhouse.params.files import read_yaml

optuna.logging.set_verbosity(optuna.logging.WARNING)
LOSS_WEIGHT = 0.01  # weight of the loss in the score; it decides between students with equal accuracy


def open_study(settings: Settings, name: str, answers_md5: str, fixed: dict[str, Any], folder: Path) -> optuna.Study:
    """Create the study, or open the one that an earlier run has stopped.

    Trials with other soft labels or other fixed settings are not comparable, so they belong to another study. Trials
    that were running when the last process ended are marked as failed.

    Args:
        settings: the section ``study``.
        name: of the study; a digest of the other arguments is appended.
        answers_md5: digest of the soft labels.
        fixed: the parameters that are not searched and change a trial's result.
        folder: of the study's database.
    """
    folder.mkdir(parents=True, exist_ok=True)
    identity = json.dumps([settings.search, answers_md5, fixed], sort_keys=True, default=str)
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    study = optuna.create_study(
        storage=f"sqlite:///{(folder / 'study.db').resolve()}",
        study_name=f"{name}-{digest}",
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=fixed.get("seed"), multivariate=True, constant_liar=True),
        load_if_exists=True,
    )
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return study


def suggest(trial: optuna.Trial, search: dict[str, Any]) -> dict[str, Any]:
    """Choose a value for each searched parameter, by dotted key. Optuna stores values of a list as JSON."""
    chosen: dict[str, Any] = {}
    for key, values in search.items():
        if isinstance(values, list):
            chosen[key] = json.loads(trial.suggest_categorical(key, [json.dumps(value) for value in values]))
        elif all(isinstance(values[end], int) for end in ("low", "high")):
            chosen[key] = trial.suggest_int(key, values["low"], values["high"], log=values.get("log", False))
        else:
            chosen[key] = trial.suggest_float(key, values["low"], values["high"], log=values.get("log", False))
    return chosen


def score(result: dict[str, float]) -> float:
    """The value that a study maximises.

    It is the accuracy on the validation texts, or without them the agreement with the soft labels of the held-out
    texts. A small share of the loss on the same texts is subtracted, so that the lower loss decides between equals.

    Args:
        result: metrics of a trial.

    Raises:
        BadInput: the project has neither validation nor held-out texts.
    """
    for kind in get_args(Kind):
        if kind in result:
            return result[kind] - LOSS_WEIGHT * result[f"{kind.partition('_')[0]}_loss"]
    raise BadInput(
        "A study needs texts to compare its students on: at least 1,000 labelled texts, or validation.* in data.path, "
        "or 100 texts without labels (data.unlabelled)."
    )


def changed(changes: dict[str, Any], path: Path = Path("params.yaml")) -> Params:
    """The parameters in ``path`` with ``changes`` (by dotted key). The file is not changed. Raises BadInput."""
    content = read_yaml(path)
    for key, value in changes.items():
        *parents, last = key.split(".")
        section = content
        for part in parents:
            section = section.get(part) if isinstance(section, dict) else None
        if not isinstance(section, dict) or last not in section:
            raise BadInput(f"study.search.{key}: there is no such parameter in {path}")
        section[last] = value
    return check_params(content, f"{path} with {', '.join(f'{key}: {value}' for key, value in changes.items())}")


def nested(changes: dict[str, Any]) -> dict[str, Any]:
    """Convert dotted keys to nested sections."""
    result: dict[str, Any] = {}
    for key, value in changes.items():
        *parents, last = key.split(".")
        section = result
        for part in parents:
            section = section.setdefault(part, {})
        section[last] = value
    return result


def best_changes(study: optuna.Study) -> dict[str, Any]:
    """The best trial's values by dotted key. Raises BadInput if no trial has finished."""
    finished = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    if not finished:
        raise BadInput("No trial has finished yet. Run python -m flows.study first.")
    best = study.best_trial
    return {key: json.loads(value) if isinstance(value, str) else value for key, value in best.params.items()}
