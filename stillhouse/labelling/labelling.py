"""Labels texts with a machine: first texts whose label is known (the audit), then test texts and texts without one."""

import logging
from dataclasses import dataclass

import numpy as np
from datasets import Dataset

from stillhouse.data.splits import label_names, labels_of
from stillhouse.errors import BadInput
from stillhouse.labelling.answers import Answered, MachineLabels, answered
from stillhouse.labelling.audit import Audit, audit
from stillhouse.labelling.choice import balanced, choose
from stillhouse.labelling.labeller import Labeller
from stillhouse.labelling.probe import FreeProbe, free_probe
from stillhouse.params import Label, OneTeacher

logger = logging.getLogger(__name__)

AUDIT_SHARE = 10  # one in so many calls is for a text whose label is known, if there are enough
LEAST_AUDIT = 20


@dataclass(frozen=True)
class Labelled:
    """A machine's labels, and their audit; None if the label of no labelled text is known."""

    labels: MachineLabels
    audit: Audit | None


def machine_labels(
    labeller: Labeller,
    settings: Label,
    teacher: OneTeacher,
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
        train: texts with labels. The audit uses some of them.
        test: test texts, for the report.
        unlabelled: texts without a label.
        seed: of random choices.

    Raises:
        BadInput: the labels are shown to be worse than those of the probe, and ``settings.audit`` is ``stop``.
    """
    names, labels = label_names(train), labels_of(train)
    probe = free_probe(teacher, train, unlabelled, seed) if len(train) else None
    rows = np.arange(len(train))
    if labeller.most is not None:
        rows = balanced(labels, max(LEAST_AUDIT, labeller.most // AUDIT_SHARE), seed)
    known = _label(labeller, train, rows, _examples(train, np.setdiff1d(np.arange(len(train)), rows)))
    audited = _audit(known, labels, names, probe, settings) if len(known) else None
    examples = _examples(train, np.arange(len(train)))
    most = len(unlabelled) if labeller.most is None else max(labeller.most - len(rows), 0)
    tested = np.arange(len(test)) if labeller.most is None else _shuffled(len(test), seed)[: settings.test_texts]
    return Labelled(
        MachineLabels(
            train=known,
            unlabelled=_label(labeller, unlabelled, _choose(settings, most, len(unlabelled), probe, seed), examples),
            test=_label(labeller, test, tested, examples),
        ),
        audited,
    )


def _examples(train: Dataset, rows: np.ndarray) -> list[tuple[str, str]]:
    part, names = train.select(rows), label_names(train)
    return [(text, names[number]) for text, number in zip(part["text"], part["label"], strict=True)]


def _label(labeller: Labeller, texts: Dataset, rows: np.ndarray, examples: list[tuple[str, str]]) -> Answered:
    return answered(rows, labeller.label(list(texts.select(rows)["text"]), examples))


def _shuffled(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(count)


def _choose(settings: Label, most: int, texts: int, probe: FreeProbe | None, seed: int) -> np.ndarray:
    if settings.choose == "random" or probe is None or most >= texts:
        return _shuffled(texts, seed)[:most]
    rows: np.ndarray = probe.rows[choose(settings.choose, most, probe.probabilities, probe.features, seed)]
    return rows


def _audit(known: Answered, labels: np.ndarray, names: list[str], probe: FreeProbe | None, settings: Label) -> Audit:
    free = None if probe is None else probe.known[known.rows]
    found = audit(labels[known.rows], known.probabilities, free, names)
    logger.info("audit: %s", found.sentence)
    for label, answer, count in found.confusions:
        logger.info("audit: %d of %r labelled %r", count, label, answer)
    if found.is_worse:
        message = f"The machine's labels are worse than what is free: {found.sentence}."
        if settings.audit == "stop":
            raise BadInput(
                f"{message} Nothing more was labelled. Improve the descriptions (data.classes) or the prompt "
                "(label.prompt), take another model, or set label.audit: warn."
            )
        logger.warning(message)
    return found
