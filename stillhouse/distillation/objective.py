"""The objective of a student: weighted losses against the teacher, and the loss on hard labels."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from stillhouse.distillation.losses import LOSSES, signal_of
from stillhouse.distillation.relations import relation_heads, word_states
from stillhouse.distillation.schedules import value_at
from stillhouse.models.students.network import TextNetwork
from stillhouse.params import Student, Varying
from stillhouse.task import TASK


@dataclass(frozen=True)
class Batch:
    """A batch of training texts. Signals of the teacher are None if the objective does not need them.

    Attributes:
        ids: token ids (batch, length).
        labels: class numbers (batch,), -1 for none.
        logits: of the teacher (batch, classes).
        features: pooled states of the teacher (batch, size).
        relations: queries, keys and values of the teacher's words (batch, 3, words, width).
        words: the word number of each token (batch, length).
    """

    ids: Tensor
    labels: Tensor
    logits: Tensor | None = None
    features: Tensor | None = None
    relations: Tensor | None = None
    words: Tensor | None = None


class HardLabels(nn.Module):
    """The loss on hard labels alone, which the control minimises."""

    needs: frozenset[str] = frozenset()

    def counted(self, labels: np.ndarray) -> np.ndarray:
        """Return for each label (batch,) whether the mean counts its text."""
        return ~TASK.unlabelled(labels)

    def forward(self, network: TextNetwork, batch: Batch, progress: float) -> Tensor:
        """Return the mean over the batch, a scalar."""
        return TASK.hard_loss(network(batch.ids), batch.labels, "mean")


class Distillation(nn.Module):
    """``alpha x (weighted losses against the teacher) + (1 - alpha) x hard loss``, the mean over texts.

    For a text without a label the objective is the weighted losses alone. ``alpha`` and the temperature may change
    during the training.
    """

    def __init__(
        self, losses: dict[str, float], alpha: float | Varying, temperature: float | Varying, projection: nn.Module
    ) -> None:
        """``projection`` maps the student's pooled states to the size of the teacher's, for losses on features."""
        super().__init__()
        self.losses, self.alpha, self.temperature = losses, alpha, temperature
        self.projection = projection
        self.functions = {name: LOSSES[name] for name in losses}
        self.needs: frozenset[str] = frozenset({"logits", *map(signal_of, self.functions.values())})

    def counted(self, labels: np.ndarray) -> np.ndarray:
        """Return for each label (batch,) whether the mean counts its text: it counts all of them."""
        return np.ones(len(labels), bool)

    def forward(self, network: TextNetwork, batch: Batch, progress: float) -> Tensor:
        """Return a scalar. ``progress`` goes from 0 to 1 during the training."""
        alpha, temperature = value_at(self.alpha, progress), value_at(self.temperature, progress)
        attended = None
        if "relations" in self.needs:
            pooled, attended = network.pooled_and_attended(batch.ids)
        else:
            pooled = network.pooled(batch.ids)
        logits = network.classify(pooled)
        soft = torch.zeros(len(logits), device=logits.device)
        for name, weight in self.losses.items():
            function = self.functions[name]
            signal = signal_of(function)
            if signal == "logits":
                assert batch.logits is not None
                loss = function(logits, batch.logits, batch.labels, temperature)
            elif signal == "features":
                assert batch.features is not None
                loss = function(self.projection(pooled), batch.features)
            else:
                assert batch.relations is not None and batch.words is not None and attended is not None
                words = batch.words[:, : attended.shape[2]]  # only tokens that the layers read
                states, mask = word_states(attended, words, batch.relations.shape[2])
                mask = mask * (batch.relations != 0).any(3).any(1)  # only words that the teacher read
                loss = function(
                    states, batch.relations, mask, relation_heads(states.shape[3], batch.relations.shape[3])
                )
            soft = soft + weight * loss
        if alpha == 1:
            return soft.mean()
        hard = TASK.hard_loss(logits, batch.labels)
        return torch.where(TASK.unlabelled(batch.labels), soft, alpha * soft + (1 - alpha) * hard).mean()


def distillation(settings: Student, alpha: float | Varying, network: TextNetwork, teacher_size: int) -> Distillation:
    """Return the objective of ``settings`` with ``alpha``. ``teacher_size``: size of the teacher's pooled states."""
    projection: nn.Module = nn.Identity()
    if any(signal_of(LOSSES[name]) == "features" for name in settings.losses):
        projection = nn.Linear(network.features, teacher_size)
        nn.init.xavier_uniform_(projection.weight)
        nn.init.zeros_(projection.bias)
    losses = {str(name): weight for name, weight in settings.losses.items()}
    return Distillation(losses, alpha, settings.temperature, projection)
