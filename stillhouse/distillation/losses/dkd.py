"""Soft targets in two parts: the right class against the rest, and the rest among themselves."""

import torch
from torch import Tensor
from torch.nn import functional

from stillhouse.registry import register
from stillhouse.task import TASK

TARGET, REST = 1.0, 8.0  # the paper's alpha and its most used beta
FAR = 1e4


@register
def dkd(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Decoupled distillation: TCKD + 8 x NCKD, times T squared.

    B. Zhao et al., "Decoupled Knowledge Distillation", CVPR 2022, arXiv:2203.08679. Hinton's loss weighs the
    second part by how unsure the teacher is; here it always counts. Where a text has no label, the teacher's
    first answer stands for it.

    Args:
        student: logits, ``(batch, classes)``.
        teacher: logits, ``(batch, classes)``.
        labels: class numbers, ``(batch,)``, -1 for none.
        temperature: > 0; larger is softer.

    Returns:
        ``(batch,)``, each >= 0; 0 where the two rows differ by a constant.
    """
    target = torch.where(TASK.unlabelled(labels), TASK.decision(teacher), labels)
    chosen = functional.one_hot(target, student.shape[1]).bool()
    student, teacher = student / temperature, teacher / temperature
    binary = functional.kl_div(
        _against_rest(student, chosen), _against_rest(teacher, chosen), log_target=True, reduction="none"
    ).sum(1)
    rest = functional.kl_div(
        _among_rest(student, chosen), _among_rest(teacher, chosen), log_target=True, reduction="none"
    )
    rest = rest.masked_fill(chosen, 0.0).sum(1)
    return (TARGET * binary + REST * rest) * temperature**2


def _against_rest(logits: Tensor, chosen: Tensor) -> Tensor:
    """Log-probabilities of the chosen class and of all others together, ``(batch, 2)``."""
    right = logits[chosen]
    others = logits.masked_fill(chosen, -torch.inf).logsumexp(1)
    return functional.log_softmax(torch.stack([right, others], 1), dim=1)


def _among_rest(logits: Tensor, chosen: Tensor) -> Tensor:
    """Log-probabilities given that it is not the chosen class."""
    lowest = logits.detach().amin(1, keepdim=True) - FAR
    return functional.log_softmax(torch.where(chosen, lowest, logits), dim=1)
