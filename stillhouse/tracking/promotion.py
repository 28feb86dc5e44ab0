"""What the stages ``register`` and ``deploy`` share: a version for the files, the gate, and the aliases."""

import logging
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stillhouse.evaluation.classes import ClassCounts
from stillhouse.evaluation.gate import Verdict, judge
from stillhouse.evaluation.quality import Quality
from stillhouse.evaluation.results import METRIC_TABLE
from stillhouse.evaluation.significance import Gap, paired
from stillhouse.params import Register
from stillhouse.params.naming import source_of
from stillhouse.pipeline.artefacts import path
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.stages import STAGES
from stillhouse.provenance import file_md5, folder_md5, git_commit, lock_md5
from stillhouse.serving.classifier import Classifier
from stillhouse.tracking import registry
from stillhouse.tracking.identity import classes_in, model_digest
from stillhouse.tracking.ownership import PROJECT_TAG, check_owner
from stillhouse.tracking.runs import find_run
from stillhouse.tracking.store import raising_unavailable

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PromotionRequest:
    """A compressed student and what it is held against.

    ``section`` of ``params.yaml`` holds the gate; ``student`` and ``teacher`` are their numbers on the test set,
    ``free`` the student's difference to each model that costs no distillation, ``classes`` its counts of each class,
    ``texts``, ``labels`` and ``names`` the test set itself; ``tags`` are added to the version's evidence.
    """

    model: Path
    gate: Register
    section: str
    aliases: registry.Aliases
    student: Quality
    teacher: Quality
    free: dict[str, Gap]
    latency_ms: float
    classes: Sequence[ClassCounts]
    passed_cases: float
    texts: list[str]
    labels: np.ndarray
    names: list[str]
    tags: dict[str, str]


def register_and_judge(context: Context, case: PromotionRequest) -> tuple[registry.Version, Verdict]:
    """Register the case's files, unless a version holds them already, and promote it if it passes its gate.

    Whatever of this an earlier run did not come to is done now.

    Raises:
        BadInput: the registered name holds another project's model.
        Unavailable: the registry does not answer.
    """
    with raising_unavailable():
        return _register_and_judge(context, case)


def _register_and_judge(context: Context, case: PromotionRequest) -> tuple[registry.Version, Verdict]:
    digest, name, classes = model_digest(case.model), context.params.model_name, classes_in(case.model)
    check_owner(name, case.aliases, classes, source_of(context.params.data))
    version = registry.find_version(name, digest)
    if version is None:
        examples = [text[:500] for text in case.texts[:3]]
        evidence = _evidence(context, digest, case.model, case.student) | case.tags
        with tempfile.TemporaryDirectory() as scratch:  # DVC may have linked the files, and MLflow refuses links
            files = Path(shutil.copytree(case.model, Path(scratch) / case.model.name))
            version = registry.register_model(context.run, files, name, examples, evidence)
    version = registry.ensure_challenger(version, case.aliases)
    champion = registry.version_of(name, case.aliases.champion)
    reigns = champion is not None and champion.number == version.number
    rival = None if reigns else champion
    gap, notes = _against(rival, case, classes) if rival else (None, [])
    verdict = judge(
        case.gate,
        case.student,
        case.teacher,
        case.latency_ms,
        case.free,
        gap,
        case.classes,
        case.section,
        case.passed_cases,
    )
    if verdict.passed and not reigns and (since := registry.was_rolled_back(version)):
        logger.warning("version %d was rolled back on %s; `stillhouse rollback` puts it back", version.number, since)
    elif verdict.passed and not reigns:
        registry.promote(version, case.aliases)
    elif reigns and not verdict.passed:
        logger.warning(
            "the present %s no longer passes the gate; it stays until another one does", case.aliases.champion
        )
    verdict = replace(verdict, reasons=(*verdict.reasons, *notes))
    standing = f"{'Passed' if verdict.passed else 'Did not pass'} the gate of {case.section}"
    registry.describe(version, f"{standing}:\n\n" + "\n".join(f"- {reason}" for reason in verdict.reasons), case.tags)
    told = [f"{name} version {version.number}: {standing[0].lower() + standing[1:]}", *verdict.reasons]
    logger.log(logging.INFO if verdict.passed else logging.WARNING, "\n  ".join(told))
    return version, verdict


def _evidence(context: Context, digest: str, model: Path, student: Quality) -> dict[str, str]:
    experiment = context.params.tracking.experiment
    return {
        registry.MODEL_TAG: folder_md5(model),
        registry.DIGEST_TAG: digest,
        PROJECT_TAG: source_of(context.params.data),
        "git.commit": git_commit(),
        "dvc.lock_md5": lock_md5(),
        "data.train_md5": file_md5(path("train")),
        "data.test_md5": file_md5(path("test")),
        "run.teacher": find_run(experiment, "teacher", folder_md5(STAGES["teacher"].folder)) or "",
    } | {f"test.{name}": f"{getattr(student, name):.4f}" for name, metric in METRIC_TABLE.items() if metric.evidence}


def _against(version: registry.Version, case: PromotionRequest, classes: list[str]) -> tuple[Gap | None, list[str]]:
    """The case's accuracy minus that of a registered version, with its paired 95 % interval, and notes about it.

    Where classes were added since, only test texts count whose class that version knows: on the others it has no
    right answer to give.
    """
    with tempfile.TemporaryDirectory() as scratch:
        try:
            rival = Classifier.load(registry.fetch_model(version, Path(scratch)))
        except (FileNotFoundError, ValueError) as error:  # damaged, or of an earlier version of this project
            logger.warning("version %d cannot be asked, so nothing is held against it: %s", version.number, error)
            return None, []
    known = {str(label) for label in rival.classes_}
    labels = np.array([case.names[label] for label in case.labels], dtype=object)
    rows = np.flatnonzero([label in known for label in labels])
    notes = _differences(version, known, classes, len(rows), len(labels))
    if not len(rows):
        return None, notes
    texts = [case.texts[row] for row in rows]
    mine, theirs = (
        (classifier.predict(texts) == labels[rows]).astype(float) for classifier in (Classifier.load(case.model), rival)
    )
    return paired(mine, theirs), notes


def _differences(version: registry.Version, known: set[str], classes: list[str], rows: int, texts: int) -> list[str]:
    new, gone = sorted(set(classes) - known), sorted(known - set(classes))
    if not new and not gone and rows == texts:
        return []
    changes = [f"{kind}: {', '.join(names)}" for kind, names in (("new", new), ("gone", gone)) if names]
    told = f" ({'; '.join(changes)})" if changes else ""
    return [
        f"note: compared with the champion (version {version.number}) on the {rows} of {texts} test texts whose "
        f"classes it knows{told}"
    ]
