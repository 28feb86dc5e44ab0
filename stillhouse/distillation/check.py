"""Measures a student after each epoch, and selects the epoch."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from stillhouse.data.splits import MIN_TEXTS
from stillhouse.distillation.examples import Examples
from stillhouse.models.students.student import predict_logits
from stillhouse.task import TASK

Kind = Literal["validation_accuracy", "heldout_agreement"]
DESCRIPTIONS: dict[Kind, str] = {
    "validation_accuracy": "accuracy on validation",
    "heldout_agreement": "agreement with the soft labels of held-out texts",
}


@dataclass(frozen=True)
class Check:
    """Texts that the student does not learn from, and their labels.

    ``kind`` is ``validation_accuracy`` if the labels come from the data. It is ``heldout_agreement`` if the texts have
    no labels; then the decisions of the soft labels are used.
    """

    kind: Kind
    examples: Examples

    def measure(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """Return the mean loss and the share of correct decisions, with names after the kind."""
        logits = torch.from_numpy(predict_logits(network, self.examples.encoded, device))
        labels = torch.from_numpy(self.examples.labels)
        return {
            f"{self.kind.partition('_')[0]}_loss": TASK.hard_loss(logits, labels, "mean").item(),
            self.kind: TASK.correct(labels, TASK.decision(logits)).float().mean().item(),
        }


def selected_epoch(history: list[dict[str, float]], check: Check | None) -> dict[str, float]:
    """Return the last epoch whose validation accuracy is within one standard error of the best.

    On a few hundred texts the best epoch is best by chance, and the weights converge towards the end. So this is the
    one-standard-error rule of Breiman et al. 1984 (Classification and Regression Trees), with "later" in place of
    "simpler". With fewer than 100 validation texts the last epoch is selected.
    """
    if check is None or check.kind != "validation_accuracy" or len(check.examples.labels) < MIN_TEXTS:
        return history[-1]
    best = max(row[check.kind] for row in history)
    error = math.sqrt(best * (1 - best) / len(check.examples.labels))
    return next(row for row in reversed(history) if row[check.kind] >= best - error)
