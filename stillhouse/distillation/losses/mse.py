"""Logits against logits."""

from torch import Tensor

from stillhouse.registry import register


@register
def mse(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Mean squared difference of the logits, each row's mean taken off first.

    T. Kim et al., "Comparing Kullback-Leibler Divergence and Mean Squared Error Loss in Knowledge
    Distillation", IJCAI 2021, arXiv:2105.08919; for text R. Tang et al., 2019, arXiv:1903.12136. A constant
    added to a row changes no probability, so it is not learnt.

    Args:
        student: logits, ``(batch, classes)``.
        teacher: logits, ``(batch, classes)``.
        labels: not used.
        temperature: not used; this is the limit of an infinite one.

    Returns:
        ``(batch,)``, each >= 0; 0 where the two rows differ by a constant.
    """
    centred = (student - student.mean(1, keepdim=True)) - (teacher - teacher.mean(1, keepdim=True))
    return centred.square().mean(1)
