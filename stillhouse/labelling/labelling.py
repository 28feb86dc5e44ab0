"""Labels texts with a machine: first texts whose label is known (the audit), then test texts and texts without one."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import Dataset

from stillhouse.data.splits import Split, label_names, labels_of, write_split, write_texts
from stillhouse.errors import BadInput
from stillhouse.labelling.answers import Answered, MachineLabels, answered, not_answered
from stillhouse.labelling.audit import Audit, audit
from stillhouse.labelling.choice import balanced, choose
from stillhouse.labelling.labeller import Labeller
from stillhouse.labelling.probe import FreeProbe, free_probe
from stillhouse.params import Label, OneTeacher
from stillhouse.task import TASK

logger = logging.getLogger(__name__)

AUDIT_SHARE = 10  # one in so many calls is for a text whose label is known, if there are enough
LEAST_AUDIT = 20


@dataclass(frozen=True)
class Labelled:
    """A machine's labels, and their audit; None if the label of no labelled text is known."""

    labels: MachineLabels
    audit: Audit | None


@dataclass(frozen=True)
class Plan:
    """Rows of the texts to label in each split, int64 (texts,)."""

    train: np.ndarray
    test: np.ndarray
    unlabelled: np.ndarray


def machine_labels(
    labeller: Labeller,
    settings: Label,
    teacher: OneTeacher,
    descriptions: dict[str, str],
    train: Dataset,
    test: Dataset,
    unlabelled: Dataset,
    seed: int,
) -> Labelled:
    """Label texts of three splits.

    Args:
        labeller: a language model or a file.
        settings: everything under ``label`` in params.yaml.
        teacher: the first teacher, for the probe that the labels are compared with.
        descriptions: of the classes, by name, for a zero-shot teacher.
        train: texts with labels. The audit uses some of them.
        test: test texts, for the report.
        unlabelled: texts without a label.
        seed: of random choices.

    Raises:
        BadInput: the labels are shown to be worse than those of the probe, and ``settings.audit`` is ``stop``; or a
            file has a label for no text.
    """
    names, labels = label_names(train), labels_of(train)
    logger.info("the probe that the labels are compared with: reading the texts")
    probe = free_probe(teacher, descriptions, train, unlabelled, seed) if len(train) else None
    planned = plan(labeller.most, settings, labels, len(test), len(unlabelled), seed)
    others = np.setdiff1d(np.arange(len(train)), planned.train)  # no text is an example of its own
    known = _label(labeller, len(names), train, planned.train, _examples(train, others))
    audited = _audit(known, labels, names, probe, labeller, settings) if len(known) else None
    examples, rows = _examples(train, np.arange(len(train))), planned.unlabelled
    if settings.choose != "random" and probe is not None and len(probe.rows) and len(rows) < len(unlabelled):
        rows = probe.rows[choose(settings.choose, len(rows), probe.probabilities, probe.features, seed)]
    elif settings.choose != "random" and len(rows) < len(unlabelled):
        logger.info("label.choose: %s needs a probe, and there is none: the texts are random ones", settings.choose)
    # Test texts first: at the cap they are few, and the only measurement.
    tested = _label(labeller, len(names), test, planned.test, examples)
    found = MachineLabels(known, tested, _label(labeller, len(names), unlabelled, rows, examples))
    if settings.source == "file":
        _report_matches(found, settings, len(train), len(unlabelled), len(test))
    return Labelled(found, audited)


def plan(most: int | None, settings: Label, labels: np.ndarray, test: int, unlabelled: int, seed: int) -> Plan:
    """Choose the texts to label. With ``label.choose`` the stage may replace the texts without a label by others.

    Args:
        most: the largest number of texts to label, beside test texts; None: all texts.
        settings: everything under ``label`` in params.yaml.
        labels: class numbers of the labelled texts (texts,).
        test: number of test texts.
        unlabelled: number of texts without a label.
        seed: of the random choice.
    """
    if most is None:
        return Plan(np.arange(len(labels)), np.arange(test), np.arange(unlabelled))
    known = balanced(labels, max(LEAST_AUDIT, most // AUDIT_SHARE), seed) if len(labels) else np.zeros(0, np.int64)
    random = np.random.default_rng(seed)
    return Plan(
        train=known,
        test=random.permutation(test)[: settings.test_texts],
        unlabelled=random.permutation(unlabelled)[: max(most - len(known), 0)],
    )


def train_on_machine_labels(
    labels: MachineLabels, unlabelled: Dataset, names: list[str], folder: Path
) -> MachineLabels:
    """Write splits for data without a labelled text: the machine's decisions become training labels.

    Args:
        labels: the machine's labels.
        unlabelled: the texts.
        names: the classes.
        folder: gets ``train.arrow`` and ``unlabelled.arrow``.

    Returns:
        The labels that remain: those of test texts.

    Raises:
        BadInput: the machine labelled no text, or gave all texts the same class.
    """
    found = labels.unlabelled
    decisions = TASK.decision(found.probabilities)
    if len(np.unique(decisions)) < 2:
        raise BadInput(
            f"label: {len(found)} texts have a label, of {len(np.unique(decisions))} classes. Without labels of people "
            "a machine must label texts of two classes or more."
        )
    write_split(Split(unlabelled, found.rows, decisions), names, folder / "train.arrow")
    write_texts([(unlabelled, np.setdiff1d(np.arange(len(unlabelled)), found.rows))], folder / "unlabelled.arrow")
    return MachineLabels(not_answered(len(names)), labels.test, not_answered(len(names)))


def _report_matches(found: MachineLabels, settings: Label, train: int, unlabelled: int, test: int) -> None:
    """Log how many texts have a label in the file. Raises BadInput if there are none."""
    parts = (
        (found.unlabelled, unlabelled, "texts without a label"),
        (found.train, train, "labelled texts"),
        (found.test, test, "test texts"),
    )
    matches = ", ".join(f"{len(part):,} of {texts:,} {name}" for part, texts, name in parts)
    if not any(len(part) for part, _, _ in parts):
        raise BadInput(
            f"{settings.path} (label.path) has a label for no text of the data ({matches}). Does label.text_column, "
            f"{settings.text_column!r}, name the column with the same texts?"
        )
    logger.info("%s has labels for %s", settings.path, matches)


def _examples(train: Dataset, rows: np.ndarray) -> list[tuple[str, str]]:
    part, names = train.select(rows), label_names(train)
    return [(text, names[number]) for text, number in zip(part["text"], part["label"], strict=True)]


def _label(
    labeller: Labeller, classes: int, texts: Dataset, rows: np.ndarray, examples: list[tuple[str, str]]
) -> Answered:
    if not len(rows):
        return not_answered(classes)
    return answered(rows, labeller.label(list(texts.select(rows)["text"]), examples))


def _audit(
    known: Answered,
    labels: np.ndarray,
    names: list[str],
    probe: FreeProbe | None,
    labeller: Labeller,
    settings: Label,
) -> Audit:
    free = None if probe is None else probe.known[known.rows]
    found = audit(labels[known.rows], known.probabilities, free, names, probe.name if probe else "")
    logger.info("audit: %s", found.sentence)
    for label, answer, count in found.confusions:
        logger.info("audit: %d of %r labelled %r", count, label, answer)
    if found.is_worse:
        message = f"The labels of {labeller.name} are worse than what is free: {found.sentence}."
        if settings.audit == "stop":
            raise BadInput(f"{message} Nothing more was labelled. {labeller.advice}, or set label.audit: warn.")
        logger.warning(message)
    return found
