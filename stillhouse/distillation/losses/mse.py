"""The loss ``mse``: squared difference of logits."""

from torch import Tensor

from stillhouse.registry import register


@register
def mse(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return the mean squared difference of the logits, after subtracting the mean of each row.

    T. Kim et al., "Comparing Kullback-Leibler Divergence and Mean Squared Error Loss in Knowledge
    Distillation", IJCAI 2021, arXiv:2105.08919; for text R. Tang et al., 2019, arXiv:1903.12136. A constant
    added to a row changes no probability, so the student need not learn it.

    Args:
        student: logits, ``(batch, classes)``.
        teacher: logits, ``(batch, classes)``.
        labels: not used.
        temperature: not used; the loss is the limit for an infinite temperature.

    Returns:
        ``(batch,)``, each >= 0; 0 if the two rows differ by a constant.
    """
    centred = (student - student.mean(1, keepdim=True)) - (teacher - teacher.mean(1, keepdim=True))
    return centred.square().mean(1)
