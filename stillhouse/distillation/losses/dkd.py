"""The loss ``dkd``: soft targets in two parts, the target class against the rest and the rest by itself."""

import torch
from torch import Tensor
from torch.nn import functional

from stillhouse.registry import register
from stillhouse.task import TASK

TARGET, REST = 1.0, 8.0  # the paper's alpha and its most used beta
FAR = 1e4  # below the lowest logit: gives the target class a probability of 0


@register
def dkd(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return the decoupled loss: TCKD + 8 x NCKD, times T squared.

    B. Zhao et al., "Decoupled Knowledge Distillation", CVPR 2022, arXiv:2203.08679. Hinton's loss weights the
    second part (NCKD) with the teacher's probability of the other classes; here the weight is constant. For a text
    without a label the target class is the teacher's decision.

    Args:
        student: logits, ``(batch, classes)``.
        teacher: logits, ``(batch, classes)``.
        labels: class numbers, ``(batch,)``, -1 for none.
        temperature: > 0; larger is softer.

    Returns:
        ``(batch,)``, each >= 0; 0 if the two rows differ by a constant.
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
    """Return log-probabilities of the target class and of all others together, ``(batch, 2)``."""
    target = logits[chosen]
    others = logits.masked_fill(chosen, -torch.inf).logsumexp(1)
    return functional.log_softmax(torch.stack([target, others], 1), dim=1)


def _among_rest(logits: Tensor, chosen: Tensor) -> Tensor:
    """Return log-probabilities, given that it is not the target class."""
    lowest = logits.detach().amin(1, keepdim=True) - FAR
    return functional.log_softmax(torch.where(chosen, lowest, logits), dim=1)
