"""Distillation losses: a file here is a loss, and its name is the loss's name in ``student.losses``.

A loss is a function marked with ``@register``, pure, over one batch. It returns one value a text, ``(batch,)``, so
that a caller can weight texts. Its arguments depend on what it compares:

- logits (the default): ``(student, teacher, labels, temperature)`` with logits ``(batch, classes)``, class numbers
  ``(batch,)`` (-1 where a text has no label), and a number > 0;
- features, marked ``@compares("features")``: ``(student, teacher)`` with vectors of the texts, ``(batch, size)``;
- relations, marked ``@compares("relations")``: ``(student, teacher, mask, heads)``, see ``minilm.py``. Its name must
  also be in ``RELATION_LOSSES`` (``stillhouse/params/student.py``).
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
    """Decorator: what of student and teacher the loss compares."""

    def mark(loss: AnyLoss) -> AnyLoss:
        loss.__dict__["compares"] = signal
        return loss

    return mark


def signal_of(loss: Loss) -> Signal:
    """What ``loss`` compares."""
    return cast(Signal, getattr(loss, "compares", "logits"))
