"""Distillation losses. Each file here is a loss, and has the name of the loss in ``student.losses``.

A loss is a pure function over one batch, marked with ``@register``. It returns one value for each text, ``(batch,)``,
so that the caller can weight texts. Its arguments depend on the signal that it compares:

- logits (the default): ``(student, teacher, labels, temperature)`` with logits ``(batch, classes)``, class numbers
  ``(batch,)`` (-1 where a text has no label), and a number > 0;
- features, marked ``@compares("features")``: ``(student, teacher)`` with vectors of the texts, ``(batch, size)``;
- relations, marked ``@compares("relations")``: ``(student, teacher, mask, heads)``, see ``minilm.py``. Its name must
  also be in ``RELATION_LOSSES`` (``stillhouse/params/student.py``).

A loss on logits that compares the texts of a batch is marked ``@over_batch``. Several processes then compute it of the
whole batch, and not of the rows of each.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeVar, cast

from torch import Tensor

from stillhouse.registry import Registry

Signal = Literal["logits", "features", "relations"]
Loss = Callable[..., Tensor]
AnyLoss = TypeVar("AnyLoss", bound=Callable[..., Any])

LOSSES: Registry[Loss] = Registry("stillhouse.distillation.losses")


def compares(signal: Signal) -> Callable[[AnyLoss], AnyLoss]:
    """Return a decorator that declares which signal of student and teacher the loss compares."""

    def mark(loss: AnyLoss) -> AnyLoss:
        loss.__dict__["compares"] = signal
        return loss

    return mark


def over_batch(loss: AnyLoss) -> AnyLoss:
    """Mark a loss on logits whose value for a text depends on the other texts of the batch."""
    loss.__dict__["over_batch"] = True
    return loss


def reads_batch(loss: Loss) -> bool:
    """Return whether the loss is marked with :func:`over_batch`."""
    return getattr(loss, "over_batch", False)


def signal_of(loss: Loss) -> Signal:
    """Return the signal that ``loss`` compares."""
    return cast(Signal, getattr(loss, "compares", "logits"))
