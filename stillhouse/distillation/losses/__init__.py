"""Distillation losses by name, pure functions over one batch.

``LOGIT_LOSSES`` compare answers: ``(student, teacher, labels, temperature) -> loss``, logits of shape
``(batch, classes)``, class numbers ``(batch,)`` (-1 where a text has no label), a number > 0; they give one
value a text, ``(batch,)``, so that a caller can weigh texts. ``features`` and ``minilm`` compare states and
have signatures of their own. A new loss: one file here, one line below or in ``objective.py``, one name in
``params.LossName``.
"""

from collections.abc import Callable

from torch import Tensor

from stillhouse.distillation.losses.dist import dist
from stillhouse.distillation.losses.dkd import dkd
from stillhouse.distillation.losses.features import features
from stillhouse.distillation.losses.hinton import hinton
from stillhouse.distillation.losses.minilm import minilm
from stillhouse.distillation.losses.mse import mse
from stillhouse.distillation.losses.standardised import standardised

LogitLoss = Callable[[Tensor, Tensor, Tensor, float], Tensor]
LOGIT_LOSSES: dict[str, LogitLoss] = {
    "hinton": hinton,
    "mse": mse,
    "standardised": standardised,
    "dkd": dkd,
    "dist": dist,
}

__all__ = ["LOGIT_LOSSES", "LogitLoss", "dist", "dkd", "features", "hinton", "minilm", "mse", "standardised"]
