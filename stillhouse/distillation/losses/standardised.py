"""The loss ``standardised``: soft targets of standardised logits."""

from torch import Tensor

from stillhouse.distillation.losses.hinton import hinton
from stillhouse.registry import register

SMALLEST = 1e-3  # smaller differences of logits are noise, which must not be amplified


@register
def standardised(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return Hinton's loss of logits that are standardised by row to mean 0 and standard deviation 1.

    S. Sun et al., "Logit Standardization in Knowledge Distillation", CVPR 2024, arXiv:2403.01427: the student
    need not match the scale of the teacher's logits, only their relations.

    Args:
        student: logits, ``(batch, classes)``.
        teacher: logits, ``(batch, classes)``.
        labels: not used.
        temperature: > 0, the paper's base temperature.

    Returns:
        ``(batch,)``, each >= 0; 0 if one row is the other times a positive number plus a constant.
    """
    return hinton(_standard(student), _standard(teacher), labels, temperature)


def _standard(logits: Tensor) -> Tensor:
    centred = logits - logits.mean(1, keepdim=True)
    return centred / (centred.square().mean(1, keepdim=True) + SMALLEST**2).sqrt()
