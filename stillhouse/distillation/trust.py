"""Selects ``alpha``, the weight of the soft labels beside the hard labels, on the validation texts."""

import numpy as np

from stillhouse.evaluation.significance import paired
from stillhouse.task import TASK

ALPHA_ABOVE, ALPHA_NOT_SHOWN, ALPHA_BELOW = 0.9, 0.5, 0.0


def choose_alpha(labels: np.ndarray, soft: np.ndarray, control: np.ndarray) -> float:
    """Compare the soft labels with the control by an exact paired test.

    Args:
        labels: class numbers of the validation texts, ``(texts,)``.
        soft: soft labels of these texts as logits, ``(texts, classes)``.
        control: logits of the control, the same network trained on hard labels alone, ``(texts, classes)``.

    Returns:
        0.9 if the soft labels are shown to be better, 0 if they are shown to be worse, otherwise 0.5.
    """
    of_soft, of_control = (TASK.correct(labels, TASK.decision(logits)).astype(float) for logits in (soft, control))
    gap = paired(of_soft, of_control)
    if gap.is_loss:
        return ALPHA_BELOW
    return ALPHA_ABOVE if gap.is_gain else ALPHA_NOT_SHOWN
