"""What a machine's labels were worth, for the report."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from stillhouse.evaluation.quality import answers_of
from stillhouse.evaluation.significance import Gap, paired
from stillhouse.labelling.answers import MachineLabels
from stillhouse.task import TASK

WITHOUT = "teacher without the added labels"


def machine_worth(
    machine: MachineLabels,
    labels: np.ndarray,
    scores: Mapping[str, np.ndarray],
    recorded: Mapping[str, Any],
    weight: float | None,
    gain: Gap | None,
) -> dict[str, Any] | None:
    """Return what a machine's labels were worth; None if no text has one.

    Args:
        machine: its labels.
        labels: class numbers of the test texts (texts,).
        scores: of each model on the test texts, probabilities (texts, classes) or class numbers (texts,).
        recorded: the metrics of the stage ``label``: ``source``, ``audit`` (None without known labels), and for a
            language model ``model``, ``kind`` and ``dollars``.
        weight: of the labels in the teacher's training; None if the teacher was fine-tuned.
        gain: accuracy of the teacher minus that of the teacher without the labels; None if they are the same.

    Returns:
        ``texts``, ``weight``, what was recorded, ``pays`` (whether the teacher is shown to be better with the labels;
        None if a machine's labels are all the labels that there are), and ``test``: number of test texts that the
        machine labelled and accuracies on them; None without such texts.
    """
    if not len(machine.unlabelled) and not len(machine.test):
        return None
    pays = gain is not None and gain.is_gain
    worth: dict[str, Any] = {
        **{"audit": None, "model": "", "kind": "", "dollars": 0.0},
        **recorded,
        "texts": len(machine.unlabelled),
        "weight": weight,
        "pays": pays if len(machine.unlabelled) else None,
        "test": None,
    }
    rows = machine.test.rows
    if len(rows):
        right = {name: TASK.correct(labels[rows], answers_of(score[rows])) for name, score in scores.items()}
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
