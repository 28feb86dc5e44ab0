"""The loss ``hinton``: soft targets with a temperature."""

from torch import Tensor

from stillhouse.registry import register
from stillhouse.task import TASK


@register
def hinton(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return the soft loss of the task type: Kullback-Leibler divergence at a temperature, times T squared.

    G. Hinton, O. Vinyals and J. Dean, "Distilling the Knowledge in a Neural Network", 2015, arXiv:1503.02531.

    Args:
        student: logits, ``(batch, classes)``.
        teacher: logits, ``(batch, classes)``.
        labels: not used.
        temperature: > 0; larger is softer.

    Returns:
        ``(batch,)``, each >= 0; 0 if the two rows differ by a constant.
    """
    return TASK.soft_loss(student, teacher, temperature)
