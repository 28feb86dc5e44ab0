"""The table of metrics, and reading and writing the measured numbers of the models as JSON."""

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from stillhouse.evaluation.display import Metric, metrics_of
from stillhouse.evaluation.quality import Quality
from stillhouse.evaluation.reference import AGREEMENT
from stillhouse.evaluation.significance import Gap
from stillhouse.evaluation.speed import Speed

# Every metric by name: quality first, then size and speed.
METRIC_TABLE = {
    metric.name: metric for metric in sorted(metrics_of(Quality) + metrics_of(Speed), key=lambda metric: metric.cost)
}
# The names of these numbers in JSON and MLflow if they are agreement with the teacher (Quality.of_teacher).
RENAMED = {
    "accuracy": "agreement",
    "accuracy_low": "agreement_low",
    "accuracy_high": "agreement_high",
    "macro_f1": "agreement_macro_f1",
}
EQUAL = "teacher_agreement"  # then equal to the agreement


@dataclass(frozen=True, kw_only=True)
class Model(Quality, Speed):
    """A model's quality and, on one machine, its speed."""

    @classmethod
    def of(cls, quality: Quality, speed: Speed) -> "Model":
        """Combine a model's quality and speed."""
        return cls(**asdict(quality), **asdict(speed))


def metric_table(of_teacher: bool) -> dict[str, Metric]:
    """``METRIC_TABLE``; ``of_teacher``: with titles for agreement with the teacher, without what needs labels."""
    if not of_teacher:
        return METRIC_TABLE
    titles = {"accuracy": AGREEMENT, "macro_f1": f"{AGREEMENT}, macro-F1"}
    table = {name: replace(one, title=titles.get(name, one.title)) for name, one in METRIC_TABLE.items()}
    return {name: one for name, one in table.items() if name not in (EQUAL, "calibration_error")}


def as_dict(measured: Quality | Speed | Gap, of_teacher: bool = False) -> dict[str, Any]:
    """The fields by name, for JSON, without those that were not measured.

    A number that is agreement with the teacher is not named accuracy. For a :class:`Gap`, ``of_teacher`` says so.
    """
    numbers = {name: value for name, value in asdict(measured).items() if value is not None}
    if not (numbers.pop("of_teacher", False) or of_teacher):
        return numbers
    return {RENAMED.get(name, name): value for name, value in numbers.items() if name != EQUAL}


def quality_of(numbers: dict[str, Any]) -> Quality:
    """The quality that :func:`as_dict` wrote; other keys are ignored."""
    own = {name: numbers[key] for name, key in RENAMED.items() if key in numbers}
    agreed = {**own, EQUAL: own["accuracy"], "of_teacher": True} if own else {}
    known = {field.name for field in fields(Quality)}
    return Quality(**{name: value for name, value in (numbers | agreed).items() if name in known})


def brief(model: Quality) -> dict[str, float]:
    """The metrics of the short table by name, for the flow's run in MLflow. Size and speed only of a :class:`Model`."""
    return _named(
        model, [one for one in METRIC_TABLE.values() if one.brief and (isinstance(model, Model) or not one.cost)]
    )


def evidence(model: Quality) -> dict[str, float]:
    """The metrics by name that a registered version has as tags."""
    return _named(model, [one for one in METRIC_TABLE.values() if one.evidence])


def _named(model: Quality, chosen: list[Metric]) -> dict[str, float]:
    used = [one for one in chosen if not (model.of_teacher and one.name == EQUAL)]
    names = RENAMED if model.of_teacher else {}
    return {names.get(one.name, one.name): getattr(model, one.name) for one in used}


def read_qualities(metrics: Path) -> dict[str, Quality]:
    """Read the quality of every model from the metrics of the stage ``evaluate``."""
    return {name: quality_of(numbers) for name, numbers in _read(metrics)["models"].items()}


def read_gaps(metrics: Path) -> dict[str, Gap]:
    """Read the differences between models, by ``<one> - <other>``, from the metrics of the stage ``evaluate``."""
    back = {key: name for name, key in RENAMED.items()}
    differences = _read(metrics)["differences"].items()
    return {name: Gap(**{back.get(key, key): value for key, value in gap.items()}) for name, gap in differences}


def read_models(metrics: Path, speed: Path) -> dict[str, Model]:
    """Read quality and speed of every model but the constant prediction, which has no speed."""
    quality = read_qualities(metrics)
    return {name: Model.of(quality[name], Speed(**numbers)) for name, numbers in _read(speed)["models"].items()}


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))
