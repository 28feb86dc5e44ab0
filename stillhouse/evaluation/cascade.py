"""A cascade: the student answers the texts of which it is sure, and the teacher, a language model or people the others.

L. Chen, M. Zaharia and J. Zou, "FrugalGPT", 2023, arXiv:2305.05176, is such a cascade of language models.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from stillhouse.evaluation.significance import Gap, paired
from stillhouse.labelling.answers import Answered
from stillhouse.task import TASK

SHARES = np.arange(101) / 100  # of the texts, deferred, the least sure first
WITHIN = 0.005  # accuracy by which student + teacher may be below the teacher where the threshold is chosen
PEOPLE, LANGUAGE_MODEL, TEACHER = "people", "language model", "teacher"


@dataclass(frozen=True)
class Chosen:
    """The threshold at which student + teacher reach the teacher.

    Attributes:
        threshold: least probability of an answer that is not deferred.
        texts: number of texts that it was chosen on.
        labelled: whether these are the validation texts, with labels. Otherwise they are the held-out texts, and the
            soft labels are the probabilities that an answer is right.
    """

    threshold: float
    texts: int
    labelled: bool


@dataclass(frozen=True)
class Cascade:
    """The cascades on the test texts.

    Attributes:
        curves: accuracy of the student together with others at each share of ``SHARES``, by the name of the other,
            float (101,).
        chosen: the threshold; None if there were no texts to choose it on.
        deferred: share of the test texts below it; 0 without a threshold.
        accuracy: of student + teacher with it.
        teacher: accuracy of the teacher.
        gap: accuracy of student + teacher minus that of the teacher.
        gain: accuracy of student + teacher minus that of the student.
    """

    curves: dict[str, np.ndarray]
    chosen: Chosen | None
    deferred: float
    accuracy: float
    teacher: float
    gap: Gap
    gain: Gap

    @property
    def at(self) -> dict[str, float]:
        """Accuracy of the student together with each other at the share ``deferred``, by the name of the other."""
        return {name: float(np.interp(self.deferred, SHARES, curve)) for name, curve in self.curves.items()}

    def numbers(self) -> dict[str, Any]:
        """Return the numbers for ``metrics.json``."""
        if self.chosen is None:
            return {}
        measured = {"deferred": self.deferred, "accuracy": self.accuracy, "teacher": self.teacher}
        differences = {"to_teacher": asdict(self.gap), "to_student": asdict(self.gain)}
        return {**asdict(self.chosen), **measured, **differences}


def curve(confidence: np.ndarray, student: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the accuracy at each share of ``SHARES``, (101,).

    Args:
        confidence: of the student, (texts,).
        student: whether its answer is right, or the probability of that, (texts,).
        other: the same for the one that answers the deferred texts.
    """
    right = _right(confidence, student, other)
    found: np.ndarray = right[np.round(SHARES * len(confidence)).astype(int)] / len(confidence)
    return found


def _right(confidence: np.ndarray, student: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the number of right answers if the 0, 1, ... least sure texts are deferred, (texts + 1,)."""
    order = np.argsort(confidence, kind="stable")
    gain = np.cumsum(other[order].astype(float) - student[order])
    total: np.ndarray = student.sum() + np.concatenate([[0.0], gain])
    return total


def choose_threshold(
    probabilities: np.ndarray, teacher: np.ndarray, truth: np.ndarray, labelled: bool, within: float = WITHIN
) -> Chosen | None:
    """Return the lowest threshold at which student + teacher are at most ``within`` below the teacher.

    Args:
        probabilities: of the student, (texts, classes).
        teacher: the teacher's decisions, (texts,).
        truth: the probability that each class is right, 1 or 0 for labels; (texts, classes).
        labelled: whether ``truth`` is from labels.
        within: accuracy, 0 to 1.

    Returns:
        None if there are no texts.
    """
    if not len(probabilities):
        return None
    confidence, rows = TASK.confidence(probabilities), np.arange(len(probabilities))
    student, right = truth[rows, TASK.decision(probabilities)], truth[rows, teacher]
    enough = _right(confidence, student, right) >= right.sum() - within * len(right) - 1e-9
    thresholds = np.unique(np.concatenate([[0.0], np.ceil(confidence.astype(float) * 1e4) / 1e4]))  # four decimals
    counts = np.searchsorted(np.sort(confidence), thresholds.astype(confidence.dtype))
    found = np.append(thresholds[enough[counts]], 1.0)
    return Chosen(float(found[0]), len(confidence), labelled)


def measure_cascade(
    probabilities: np.ndarray, teacher: np.ndarray, machine: Answered, labels: np.ndarray, chosen: Chosen | None
) -> Cascade | None:
    """Measure the cascades on the test texts.

    Args:
        probabilities: of the student, (texts, classes).
        teacher: the teacher's decisions, (texts,).
        machine: answers of a language model or a file for some of the texts.
        labels: class numbers (texts,); a text may have none.
        chosen: the threshold.

    Returns:
        None if no text has a label.
    """
    known = ~TASK.unlabelled(labels)
    if not known.any():
        return None
    confidence, student = TASK.confidence(probabilities), TASK.correct(labels, TASK.decision(probabilities))
    right = TASK.correct(labels, teacher)
    curves = {TEACHER: curve(confidence[known], student[known], right[known])}
    rows = np.flatnonzero(known[machine.rows])
    if len(rows):
        places = machine.rows[rows]
        correct = TASK.correct(labels[places], TASK.decision(machine.probabilities[rows]))
        curves[LANGUAGE_MODEL] = curve(confidence[places], student[places], correct)
    curves[PEOPLE] = curve(confidence[known], student[known], np.ones(int(known.sum()), bool))
    deferred = confidence < np.float32(chosen.threshold if chosen else 0.0)
    both = np.where(deferred, right, student)[known].astype(float)
    gap, gain = (paired(both, alone[known].astype(float)) for alone in (right, student))
    share = float(deferred[known].mean())
    return Cascade(curves, chosen, share, float(both.mean()), float(right[known].mean()), gap, gain)
