"""Distillation losses by name.

Each is a pure function ``(student, teacher, temperature) -> loss``: logits of shape ``(batch, classes)``
in, a scalar mean over the batch out. A new loss: one file here, one line in ``LOSSES``, one name in
``params.Student.loss``.
"""

from collections.abc import Callable

from torch import Tensor

from stillhouse.distillation.losses.hinton import hinton

LOSSES: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {"hinton": hinton}
