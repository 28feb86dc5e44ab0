"""What a machine's labels were worth, for the report."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from stillhouse.evaluation.significance import Gap, paired
from stillhouse.labelling.answers import MachineLabels
from stillhouse.task import TASK

WITHOUT = "teacher without the machine's labels"


def machine_worth(
    machine: MachineLabels,
    labels: np.ndarray,
    scores: Mapping[str, np.ndarray],
    audit: Mapping[str, Any] | None,
    weight: float | None,
    gain: Gap | None,
) -> dict[str, Any] | None:
    """Return what a machine's labels were worth; None if no text has one.

    Args:
        machine: its labels.
        labels: class numbers of the test texts (texts,).
        scores: probabilities of each model on the test texts (texts, classes).
        audit: the content of :class:`stillhouse.labelling.audit.Audit`; None without known labels.
        weight: of the labels in the teacher's training; None if the teacher was fine-tuned.
        gain: accuracy of the teacher minus that of the teacher without the labels; None if they are the same.

    Returns:
        ``texts``, ``weight``, ``audit``, ``pays`` (whether the teacher is shown to be better with the labels), and, if
        the machine labelled test texts, ``test``: number of texts and accuracies on them.
    """
    if not len(machine.unlabelled):
        return None
    worth: dict[str, Any] = {"texts": len(machine.unlabelled), "weight": weight, "audit": audit}
    worth["pays"] = gain is not None and gain.is_gain
    rows = machine.test.rows
    if len(rows):
        right = {name: TASK.correct(labels[rows], TASK.decision(score[rows])) for name, score in scores.items()}
        answers = TASK.correct(labels[rows], TASK.decision(machine.test.probabilities))
        gap = paired(right["compressed student"].astype(float), answers.astype(float))
        worth["test"] = {
            "texts": len(rows),
            "machine": float(answers.mean()),
            **{name: float(found.mean()) for name, found in right.items()},
            "difference": gap.accuracy,
            "low": gap.low,
            "high": gap.high,
            "p": gap.p,
        }
    return worth
