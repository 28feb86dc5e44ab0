"""The loss ``minilm``: relations between the words of a text in the last attention layer."""

import torch
from torch import Tensor
from torch.nn import functional

from stillhouse.distillation.losses import compares
from stillhouse.registry import register

LOWEST = -1e4  # score of padding


@register
@compares("relations")
def minilm(student: Tensor, teacher: Tensor, mask: Tensor, heads: int = 12) -> Tensor:
    """Return the Kullback-Leibler divergence of the student's word relations from the teacher's.

    W. Wang et al., "MiniLMv2: Multi-Head Self-Attention Relation Distillation", ACL 2021, arXiv:2012.15828:
    scaled dot products of queries with queries, keys with keys and values with values, split into relation
    heads, so that widths may differ. Here relations are between words, not word pieces, so vocabularies may differ too.

    Args:
        student: queries, keys and values of each word, ``(batch, 3, words, width)``.
        teacher: the same; its width may differ.
        mask: 1 for words and 0 for padding, ``(batch, words)``.
        heads: relation heads, a divisor of both widths; attention heads do not matter.

    Returns:
        ``(batch,)``, each >= 0; 0 if all relations are equal.
    """
    predicted, target = _relations(student, mask, heads), _relations(teacher, mask, heads)
    divergence = functional.kl_div(predicted, target, log_target=True, reduction="none")
    pairs = mask[:, None, None, :, None] * mask[:, None, None, None, :]
    words = mask.sum(1).clamp(min=1.0)
    return (divergence * pairs).sum((1, 2, 3, 4)) / (words * heads * 3)


def _relations(states: Tensor, mask: Tensor, heads: int) -> Tensor:
    """Return log-probabilities ``(batch, 3, heads, words, words)``."""
    split = states.reshape(*states.shape[:3], heads, -1).transpose(2, 3)
    scores = split @ split.transpose(3, 4) / split.shape[-1] ** 0.5
    return torch.log_softmax(scores + (1 - mask[:, None, None, None, :]) * LOWEST, dim=-1)
