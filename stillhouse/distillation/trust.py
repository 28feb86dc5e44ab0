"""How much a student listens to its teacher, decided on the validation texts."""

import numpy as np

from stillhouse.evaluation.significance import paired

TRUSTED, DOUBTED, OVERRULED = 0.9, 0.5, 0.0


def chosen_alpha(labels: np.ndarray, teacher: np.ndarray, control: np.ndarray) -> float:
    """The weight of the soft targets beside labels: 0.9 where the teacher is shown (exact paired test) to be better.

    It is 0 where it is shown to be worse, since it would hand on its mistakes, and 0.5 where neither is shown.

    Args:
        labels: class numbers of the validation texts, ``(texts,)``.
        teacher: its logits, ``(texts, classes)``.
        control: those of the same network on hard labels alone.
    """
    right = [(logits.argmax(1) == labels).astype(float) for logits in (teacher, control)]
    gap = paired(*right)
    if gap.is_loss:
        return OVERRULED
    return TRUSTED if gap.is_gain else DOUBTED
