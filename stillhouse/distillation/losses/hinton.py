"""Soft targets with a temperature."""

from torch import Tensor
from torch.nn import functional

from stillhouse.registry import register


@register
def hinton(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of the softened student from the softened teacher, times T squared.

    G. Hinton, O. Vinyals and J. Dean, "Distilling the Knowledge in a Neural Network", 2015,
    arXiv:1503.02531. The factor keeps the gradient's size as the temperature changes.

    Args:
        student: logits, ``(batch, classes)``.
        teacher: logits, ``(batch, classes)``.
        labels: not used.
        temperature: > 0; larger is softer.

    Returns:
        ``(batch,)``, each >= 0; 0 where the two rows differ by a constant.
    """
    soft_student = functional.log_softmax(student / temperature, dim=1)
    soft_teacher = functional.log_softmax(teacher / temperature, dim=1)
    divergence = functional.kl_div(soft_student, soft_teacher, log_target=True, reduction="none").sum(1)
    return divergence * temperature**2
