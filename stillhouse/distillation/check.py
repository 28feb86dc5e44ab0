"""What a student is measured on after each epoch, and which epoch is selected by it."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from stillhouse.data.splits import TELLING
from stillhouse.distillation.examples import Examples
from stillhouse.models.students.student import predict_logits
from stillhouse.task import TASK

Kind = Literal["validation_accuracy", "heldout_agreement"]
READABLE: dict[Kind, str] = {
    "validation_accuracy": "accuracy on validation",
    "heldout_agreement": "agreement with the soft labels of held-out texts",
}


@dataclass(frozen=True)
class Check:
    """Texts that a student does not learn from, and their labels.

    ``kind`` is ``validation_accuracy`` where the labels are those of the data, ``heldout_agreement`` where the data has
    none and the labels are the decisions of the soft labels.
    """

    kind: Kind
    examples: Examples

    def measure(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """The mean loss and the share of right decisions, named by the kind."""
        logits = torch.from_numpy(predict_logits(network, self.examples.encoded, device))
        labels = torch.from_numpy(self.examples.labels)
        return {
            f"{self.kind.partition('_')[0]}_loss": TASK.hard_loss(logits, labels, "mean").item(),
            self.kind: TASK.correct(labels, TASK.decision(logits)).float().mean().item(),
        }


def selected_epoch(history: list[dict[str, float]], check: Check | None) -> dict[str, float]:
    """The last epoch whose accuracy on validation is within one standard error of the best so far.

    On a few hundred texts the best epoch is the luckiest one, while the learning rate and the average settle to the
    end: so the rule of Breiman et al. 1984 (Classification and Regression Trees), with the later for the simpler.
    Without 100 labelled validation texts it is the last epoch.
    """
    if check is None or check.kind != "validation_accuracy" or len(check.examples.labels) < TELLING:
        return history[-1]
    best = max(row[check.kind] for row in history)
    error = math.sqrt(best * (1 - best) / len(check.examples.labels))
    return next(row for row in reversed(history) if row[check.kind] >= best - error)
