"""Relations instead of values: within a text's answers, and within a class over the batch."""

import torch
from torch import Tensor

from stillhouse.registry import register

VARIED = 1e-2  # a teacher whose answers vary less has no relation to teach
SMALLEST = 1e-4


@register
def dist(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """1 - Pearson correlation of probabilities, over classes and over texts, their sum times T squared.

    T. Huang et al., "Knowledge Distillation from A Stronger Teacher", NeurIPS 2022, arXiv:2205.10536. The
    relation over texts belongs to the batch as a whole, so each text gets the same share of it. A text or class
    that the teacher answers alike throughout has no relation and counts as 0.

    Args:
        student: logits, ``(batch, classes)``.
        teacher: logits, ``(batch, classes)``.
        labels: not used.
        temperature: > 0; larger is softer.

    Returns:
        ``(batch,)``, each between 0 and 4 T squared; 0 where student and teacher answer alike.
    """
    one, other = (student / temperature).softmax(1), (teacher / temperature).softmax(1)
    inter, intra = _unlike(one, other), _unlike(one.T, other.T)
    return (inter + intra.mean()) * temperature**2


def _unlike(one: Tensor, other: Tensor) -> Tensor:
    """1 - Pearson correlation of each row of ``one`` with that of ``other``; 0 where ``other`` hardly varies."""
    one, other = one - one.mean(1, keepdim=True), other - other.mean(1, keepdim=True)
    norms = (one.square().sum(1) + SMALLEST**2).sqrt() * (other.square().sum(1) + SMALLEST**2).sqrt()
    return torch.where(other.norm(dim=1) > VARIED, 1 - (one * other).sum(1) / norms, 0.0)
