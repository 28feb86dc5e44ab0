"""Whether the distilled student or its control goes on: decided on the validation texts, never on the test set."""

from typing import Literal

import numpy as np

from stillhouse.evaluation.significance import paired
from stillhouse.task import TASK

Source = Literal["student", "control"]


def worth_keeping(labels: np.ndarray, student: np.ndarray, control: np.ndarray) -> Source:
    """``control`` where it is shown (exact paired test at 5 %) to be better, else ``student``.

    Without validation texts nothing is shown.

    Args:
        labels: of the validation texts, ``(texts,)``.
        student: its scores, ``(texts, classes)``.
        control: the same network's on hard labels alone.
    """
    if not len(labels):
        return "student"
    rival, own = (TASK.correct(labels, TASK.decision(scores)).astype(float) for scores in (control, student))
    return "control" if paired(rival, own).is_gain else "student"
