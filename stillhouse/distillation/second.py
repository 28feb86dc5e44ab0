"""Second teachers: networks like the student, trained on hard labels, that label the transfer set with the teacher.

The teacher and such a network make different mistakes. So the mean of their logits is better than either
(co-training, A. Blum and T. Mitchell, COLT 1998; deep mutual learning, Y. Zhang et al., CVPR 2018, arXiv:1706.00384).
"""

from collections.abc import Sequence

import numpy as np
import torch
from datasets import Dataset

from stillhouse.models.students.student import Student, student_logits
from stillhouse.task import TASK

CHUNK = 20_000  # texts whose logits are in memory at once


def add_second_teachers(
    logits: np.ndarray, seconds: Sequence[Student], weight: float, texts: Sequence[Dataset]
) -> float:
    """Replace the teacher's ``logits`` with the weighted mean of them and the second teachers' logits, in place.

    The softmax of a mean of logits is the normalised geometric mean of the probabilities.

    Args:
        logits: of the teacher, float32 of shape ``(texts, classes)``.
        seconds: the second teachers; without any the logits do not change.
        weight: of the mean of the second teachers, 0 to 1.
        texts: data sets with the column ``text``, one after the other.

    Returns:
        Share of the texts with the same decision of the teacher and of the second teachers' mean; 1 without any.
    """
    same, start = 0, 0
    for dataset in texts if seconds else []:
        for first in range(0, len(dataset), CHUNK):
            some = dataset.select(range(first, min(first + CHUNK, len(dataset))))
            rows = slice(start, start + len(some))
            mean = np.mean([student_logits(second, some, torch.device("cpu")) for second in seconds], axis=0)
            same += int(TASK.correct(TASK.decision(logits[rows]), TASK.decision(mean)).sum())
            logits[rows] = (1 - weight) * logits[rows] + weight * mean
            start += len(some)
    return same / start if start else 1.0
