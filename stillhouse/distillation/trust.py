"""How much a student listens to its teacher, decided on the validation texts."""

import numpy as np

from stillhouse.evaluation.significance import paired

TRUSTED, DOUBTED = 0.9, 0.5


def chosen_alpha(labels: np.ndarray, teacher: np.ndarray, control: np.ndarray) -> float:
    """The weight of the soft targets: 0.9 where the teacher is shown (paired 95 % interval) to be better, else 0.5.

    A teacher that knows no more than the labels hands on its mistakes with them.

    Args:
        labels: class numbers of the validation texts, ``(texts,)``.
        teacher: its logits, ``(texts, classes)``.
        control: those of the same network on hard labels alone.
    """
    right = [(logits.argmax(1) == labels).astype(float) for logits in (teacher, control)]
    return TRUSTED if paired(*right).is_gain else DOUBTED
