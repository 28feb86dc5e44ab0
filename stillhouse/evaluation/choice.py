"""Selection of the network to compress: the distilled student or the control. The test set is never used for it."""

from typing import Literal

import numpy as np

from stillhouse.evaluation.significance import paired
from stillhouse.task import TASK

Source = Literal["student", "control"]


def select_network(labels: np.ndarray, student: np.ndarray, control: np.ndarray) -> Source:
    """Select the network to compress by its predictions on the validation texts.

    Args:
        labels: of the validation texts, ``(texts,)``; may be empty.
        student: scores of the distilled student, ``(texts, classes)``.
        control: scores of the hard-label baseline, ``(texts, classes)``.

    Returns:
        ``control`` if the exact paired test at 5 % shows the control to be better, else ``student``.
    """
    if not len(labels):
        return "student"
    baseline, distilled = (TASK.correct(labels, TASK.decision(scores)).astype(float) for scores in (control, student))
    return "control" if paired(baseline, distilled).is_gain else "student"
