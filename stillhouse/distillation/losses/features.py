"""The loss ``features``: distance of text vectors."""

from torch import Tensor
from torch.nn import functional

from stillhouse.distillation.losses import compares
from stillhouse.registry import register


@register
@compares("features")
def features(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the squared distance of the two vectors, normalised to length 1. It equals 2 - 2 x cosine.

    After A. Romero et al., "FitNets", ICLR 2015, arXiv:1412.6550 (a learned projection maps the student's
    vector to the teacher's size), normalised as in S. Zagoruyko and N. Komodakis, "Paying More
    Attention to Attention", ICLR 2017, arXiv:1612.03928.

    Args:
        student: projected vectors, ``(batch, size)``.
        teacher: pooled states, ``(batch, size)``.

    Returns:
        ``(batch,)``, each between 0 and 4; 0 if both have the same direction.
    """
    one, other = (functional.normalize(vectors, dim=1, eps=1e-6) for vectors in (student, teacher))
    return (one - other).square().sum(1)
