"""Registration and promotion, for the stages ``register`` and ``deploy``: the version, the gate and the aliases."""

import logging
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stillhouse.evaluation.classes import ClassCounts
from stillhouse.evaluation.confidence import PARAMETERS, Statement
from stillhouse.evaluation.gate import Verdict, judge
from stillhouse.evaluation.quality import Quality
from stillhouse.evaluation.results import evidence
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
from stillhouse.tracking.search import find_run
from stillhouse.tracking.store import raising_unavailable

logger = logging.getLogger(__name__)

REFERENCE_TAG, TEACHER = "test.reference", "teacher"  # labels, or the teacher's decisions where no test text has one


@dataclass(frozen=True)
class PromotionRequest:
    """A compressed student and the data for the decision about its promotion.

    Attributes:
        model: the folder of the compressed student, with its certified threshold and its card.
        compressed: the same as it was compressed; `stillhouse reproduce` compares with it.
        gate: the limits.
        section: the section of ``params.yaml`` that has the limits.
        aliases: of the pipeline or the device.
        student: the compressed student on the test set.
        teacher: the teacher on the test set.
        free: the student's accuracy minus that of each model that needs no distillation.
        latency_ms: median latency of one text in milliseconds.
        classes: the student's counts of each class.
        passed_cases: share of ``evaluate.cases`` that the student passes.
        texts: the test texts.
        labels: their class numbers, ``(texts,)``.
        names: of the classes, by number.
        tags: further tags of the version.
        statements: what was certified about its answers.
        summary: a paragraph on data and quality, for the version's description.
    """

    model: Path
    compressed: Path
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
    statements: Sequence[Statement]
    summary: str = ""


def register_and_judge(context: Context, request: PromotionRequest) -> tuple[registry.Version, Verdict]:
    """Register the compressed student, unless a version has the same digest, and promote it if it passes the gate.

    This also completes an interrupted registration of an earlier run.

    Returns:
        The version and the gate's verdict.

    Raises:
        BadInput: the registered name belongs to another project's model.
        Unavailable: the registry does not answer.
    """
    with raising_unavailable():
        return _register_and_judge(context, request)


def _register_and_judge(context: Context, request: PromotionRequest) -> tuple[registry.Version, Verdict]:
    digest, name, classes = model_digest(request.model), context.params.model_name, classes_in(request.model)
    check_owner(name, request.aliases, classes, source_of(context.params.data))
    version = registry.find_version(name, digest)
    if version is None:
        examples = [text[:500] for text in request.texts[:3]]
        evidence = _evidence(context, digest, request.compressed, request.student) | request.tags
        with tempfile.TemporaryDirectory() as scratch:  # the files may be DVC's links, which MLflow refuses
            files = Path(shutil.copytree(request.model, Path(scratch) / request.model.name))
            version = registry.register_model(context.run, files, name, examples, evidence)
    version = registry.ensure_challenger(version, request.aliases)
    champion = registry.version_of(name, request.aliases.champion)
    is_champion = champion is not None and champion.number == version.number
    rival = None if is_champion else champion
    gap, notes = _compare_with_champion(rival, request, classes) if rival else (None, [])
    verdict = judge(
        request.gate,
        request.student,
        request.teacher,
        request.latency_ms,
        request.free,
        gap,
        request.classes,
        request.section,
        request.passed_cases,
        rival is not None and registry.tag_of(rival, REFERENCE_TAG) != TEACHER,
        request.statements,
    )
    if verdict.passed and not is_champion and (since := registry.was_rolled_back(version)):
        logger.warning(
            "version %d was rolled back on %s and is not promoted; `stillhouse rollback` restores it",
            version.number,
            since,
        )
    elif verdict.passed and not is_champion:
        registry.promote(version, request.aliases)
    elif is_champion and not verdict.passed:
        logger.warning(
            "the present %s no longer passes the gate; it stays until another version passes", request.aliases.champion
        )
    verdict = replace(verdict, reasons=(*verdict.reasons, *notes))
    standing = f"{'Passed' if verdict.passed else 'Did not pass'} the gate of {request.section}"
    paragraphs = [f"{standing}:", "\n".join(f"- {reason}" for reason in verdict.reasons), request.summary]
    registry.describe(version, "\n\n".join(filter(None, paragraphs)), request.tags)
    headline = f"{name} version {version.number}: {standing[0].lower() + standing[1:]}"
    if verdict.passed:
        logger.info("%s; its description has the %d conditions", headline, len(verdict.reasons))
        for one in request.statements:
            if one.demanded:
                logger.info("register.%s: the compressed student %s", PARAMETERS[one.by], one.sentence)
    else:
        logger.warning("%s", "\n  ".join([headline, *verdict.reasons]))
    return version, verdict


def _evidence(context: Context, digest: str, compressed: Path, student: Quality) -> dict[str, str]:
    experiment = context.params.tracking.experiment
    return {
        registry.MODEL_TAG: folder_md5(compressed),
        registry.DIGEST_TAG: digest,
        PROJECT_TAG: source_of(context.params.data),
        "git.commit": git_commit(),
        "dvc.lock_md5": lock_md5(),
        "data.train_md5": file_md5(path("train")),
        "data.test_md5": file_md5(path("test")),
        "run.teacher": find_run(experiment, "teacher", folder_md5(STAGES["teacher"].folder)) or "",
        REFERENCE_TAG: TEACHER if student.of_teacher else "labels",
    } | {f"test.{name}": f"{value:.4f}" for name, value in evidence(student).items()}


def _compare_with_champion(
    version: registry.Version, request: PromotionRequest, classes: list[str]
) -> tuple[Gap | None, list[str]]:
    """Compare the student with the champion.

    If classes were added since the champion was trained, only test texts of classes that it knows are compared,
    because it cannot predict the others correctly.

    Args:
        version: the champion.
        request: the student and the test set.
        classes: of the student.

    Returns:
        The student's accuracy minus the champion's (None if they cannot be compared), and notes for the description.
    """
    with tempfile.TemporaryDirectory() as scratch:
        try:
            rival = Classifier.load(registry.fetch_model(version, Path(scratch)))
        except (FileNotFoundError, ValueError) as error:  # damaged, or made by an earlier version of Stillhouse
            logger.warning("version %d cannot be loaded, so no comparison with it: %s", version.number, error)
            return None, []
    known = {str(label) for label in rival.classes_}
    labels = np.array([request.names[label] for label in request.labels], dtype=object)
    rows = np.flatnonzero([label in known for label in labels])
    notes = _class_notes(version, known, classes, len(rows), len(labels))
    if not len(rows):
        return None, notes
    texts = [request.texts[row] for row in rows]
    student = Classifier.load(request.model)
    own, other = ((classifier.predict(texts) == labels[rows]).astype(float) for classifier in (student, rival))
    return paired(own, other), notes


def _class_notes(version: registry.Version, known: set[str], classes: list[str], rows: int, texts: int) -> list[str]:
    new, removed = sorted(set(classes) - known), sorted(known - set(classes))
    if not new and not removed and rows == texts:
        return []
    changes = [f"{kind}: {', '.join(names)}" for kind, names in (("new", new), ("removed", removed)) if names]
    suffix = f" ({'; '.join(changes)})" if changes else ""
    return [
        f"note: compared with the champion (version {version.number}) on the {rows} of {texts} test texts whose "
        f"classes it knows{suffix}"
    ]
