"""What a student minimises: losses by name and weight against the teacher, and the hard labels."""

from dataclasses import dataclass

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
    """Some texts of a training set and what is known of them.

    ``ids`` (batch, length); ``labels`` (batch,), -1 for none; where there is a teacher its ``logits``
    (batch, classes), pooled ``features`` (batch, size) and ``relations`` (batch, 3, words, width); ``words``
    (batch, length) numbers the word that each token belongs to.
    """

    ids: Tensor
    labels: Tensor
    logits: Tensor | None = None
    features: Tensor | None = None
    relations: Tensor | None = None
    words: Tensor | None = None


class HardLabels(nn.Module):
    """The hard loss alone, which is how the control learns."""

    needs: frozenset[str] = frozenset()

    def forward(self, network: TextNetwork, batch: Batch, progress: float) -> Tensor:
        """The mean over the batch, a scalar."""
        return TASK.hard_loss(network(batch.ids), batch.labels, "mean")


class Distillation(nn.Module):
    """``alpha x (weighted losses against the teacher) + (1 - alpha) x hard loss``, the mean over texts.

    A text without a label counts with its first term alone. ``alpha`` and the temperature may change with
    the progress of the training.
    """

    def __init__(
        self, losses: dict[str, float], alpha: float | Varying, temperature: float | Varying, projection: nn.Module
    ) -> None:
        """``projection`` maps the student's pooled states to the teacher's size, for losses that compare features."""
        super().__init__()
        self.losses, self.alpha, self.temperature = losses, alpha, temperature
        self.projection = projection
        self.functions = {name: LOSSES[name] for name in losses}
        self.needs: frozenset[str] = frozenset({"logits", *map(signal_of, self.functions.values())})

    def forward(self, network: TextNetwork, batch: Batch, progress: float) -> Tensor:
        """A scalar; ``progress`` runs from 0 to 1 over the training."""
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
                words = batch.words[:, : attended.shape[2]]  # of what the layers read
                own, mask = word_states(attended, words, batch.relations.shape[2])
                mask = mask * (batch.relations != 0).any(3).any(1)  # words that the teacher did read
                loss = function(own, batch.relations, mask, relation_heads(own.shape[3], batch.relations.shape[3]))
            soft = soft + weight * loss
        if alpha == 1:
            return soft.mean()
        hard = TASK.hard_loss(logits, batch.labels)
        return torch.where(TASK.unlabelled(batch.labels), soft, alpha * soft + (1 - alpha) * hard).mean()


def distillation(settings: Student, alpha: float | Varying, network: TextNetwork, teacher_size: int) -> Distillation:
    """What ``settings`` ask for, with this ``alpha``; ``teacher_size`` is that of the teacher's pooled states."""
    projection: nn.Module = nn.Identity()
    if any(signal_of(LOSSES[name]) == "features" for name in settings.losses):
        projection = nn.Linear(network.features, teacher_size)
        nn.init.xavier_uniform_(projection.weight)
        nn.init.zeros_(projection.bias)
    losses = {str(name): weight for name, weight in settings.losses.items()}
    return Distillation(losses, alpha, settings.temperature, projection)
