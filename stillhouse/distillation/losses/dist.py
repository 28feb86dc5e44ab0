"""The loss ``dist``: correlation of the probabilities of a text, and of a class over the batch."""

import torch
from torch import Tensor

from stillhouse.distillation.losses import over_batch
from stillhouse.registry import register

VARIED = 1e-2  # if the teacher's probabilities vary less, their correlation is noise
SMALLEST = 1e-4  # avoids a division by 0


@register
@over_batch
def dist(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return 1 - Pearson correlation of probabilities over classes, plus the same over texts, times T squared.

    T. Huang et al., "Knowledge Distillation from A Stronger Teacher", NeurIPS 2022, arXiv:2205.10536. The
    correlation over texts is one number for the batch, so each text gets the same share of it. A text or class with
    nearly constant probabilities of the teacher counts as 0.

    Args:
        student: logits, ``(batch, classes)``.
        teacher: logits, ``(batch, classes)``.
        labels: not used.
        temperature: > 0; larger is softer.

    Returns:
        ``(batch,)``, each between 0 and 4 T squared; 0 if the probabilities are equal.
    """
    one, other = (student / temperature).softmax(1), (teacher / temperature).softmax(1)
    inter, intra = _distance(one, other), _distance(one.T, other.T)
    return (inter + intra.mean()) * temperature**2


def _distance(one: Tensor, other: Tensor) -> Tensor:
    """Return 1 - Pearson correlation of each row of ``one`` and ``other``; 0 if the row of ``other`` hardly varies."""
    one, other = one - one.mean(1, keepdim=True), other - other.mean(1, keepdim=True)
    norms = (one.square().sum(1) + SMALLEST**2).sqrt() * (other.square().sum(1) + SMALLEST**2).sqrt()
    return torch.where(other.norm(dim=1) > VARIED, 1 - (one * other).sum(1) / norms, 0.0)
