"""What a student minimises: soft and hard targets in one number."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from stillhouse.distillation.losses import LOSSES


@dataclass(frozen=True)
class Objective:
    """``alpha * loss(student, teacher) + (1 - alpha) * cross entropy``; ``alpha`` 0 needs no teacher."""

    alpha: float = 0.0
    temperature: float = 1.0
    loss: str = "hinton"

    def __call__(self, student: Tensor, labels: Tensor, teacher: Tensor | None) -> Tensor:
        """Logits (batch, classes), class numbers (batch,), teacher's logits (batch, classes) to a scalar."""
        hard = functional.cross_entropy(student, labels)
        if self.alpha == 0 or teacher is None:
            return hard
        return self.alpha * LOSSES[self.loss](student, teacher, self.temperature) + (1 - self.alpha) * hard
