"""The weight of the soft labels beside hard ones, selected on the validation texts."""

import numpy as np

from stillhouse.evaluation.significance import paired
from stillhouse.task import TASK

TRUSTED, DOUBTED, OVERRULED = 0.9, 0.5, 0.0


def chosen_alpha(labels: np.ndarray, soft: np.ndarray, control: np.ndarray) -> float:
    """0.9 where the soft labels are shown (exact paired test) to be better than the control.

    0 where they are shown to be worse, and 0.5 where neither is shown.

    Args:
        labels: of the validation texts, ``(texts,)``.
        soft: logits of the soft labels of these texts, ``(texts, classes)``.
        control: those of the same network on hard labels alone.
    """
    ours, theirs = (TASK.correct(labels, TASK.decision(logits)).astype(float) for logits in (soft, control))
    gap = paired(ours, theirs)
    if gap.is_loss:
        return OVERRULED
    return TRUSTED if gap.is_gain else DOUBTED
