"""Model distillation: a simple model's predictions regularise the complex one while it trains.

Each wrapper is what transformers' Trainer trains in place of the teacher: same inputs, same output, another
loss. So batches, gradient accumulation, checkpoints and resuming are the Trainer's own.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput

from stillhouse.data.encoded import Encoded
from stillhouse.models.students.network import TextNetwork
from stillhouse.params import Mutual, Reversed
from stillhouse.task import TASK


class ReversedTeacher(nn.Module):
    """The teacher, taught by labels and by a simpler model that was trained before it.

    L. Yuan et al., "Revisiting Knowledge Distillation via Label Smoothing Regularization", CVPR 2020,
    arXiv:1909.11723 (Re-KD): ``(1 - ratio) x cross entropy + ratio x KL at a temperature``.
    """

    def __init__(self, teacher: nn.Module, settings: Reversed) -> None:
        super().__init__()
        self.teacher, self.ratio, self.temperature = teacher, settings.ratio, settings.temperature

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        hint: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """As the teacher's own; ``hint`` holds the simple model's logits (batch, classes), in training only."""
        logits, loss = _taught_by_labels(self.teacher, input_ids, attention_mask, token_type_ids, labels)
        if loss is not None and hint is not None:
            soft = TASK.soft_loss(logits, hint, self.temperature).mean()
            loss = (1 - self.ratio) * loss + self.ratio * soft
        return SequenceClassifierOutput(loss=loss, logits=logits)


class MutualTeacher(nn.Module):
    """The teacher and a simple peer, which learn from the labels and from each other.

    Y. Zhang et al., "Deep Mutual Learning", CVPR 2018, arXiv:1706.00384. The two losses are added, and each
    looks at the other's answers without moving them, so neither's gradient reaches the other.
    """

    def __init__(self, teacher: nn.Module, peer: TextNetwork, texts: Encoded, settings: Mutual) -> None:
        """``texts`` are the training texts as the peer reads them; a batch names them by row."""
        super().__init__()
        self.teacher, self.peer, self.texts = teacher, peer, texts
        self.ratio, self.temperature = settings.ratio, settings.temperature

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        row: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """As the teacher's own; ``row`` (batch,) are rows of the training texts, in training only."""
        logits, loss = _taught_by_labels(self.teacher, input_ids, attention_mask, token_type_ids, labels)
        if loss is not None and row is not None and labels is not None:
            ids = torch.from_numpy(self.texts.padded(row.cpu().numpy())).to(logits.device)
            answers = self.peer(ids)
            own = self._mixed(loss, logits, answers)
            loss = own + self._mixed(TASK.hard_loss(answers, labels, "mean"), answers, logits)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def _mixed(self, hard: Tensor, learner: Tensor, other: Tensor) -> Tensor:
        soft = TASK.soft_loss(learner, other.detach(), self.temperature).mean()
        return (1 - self.ratio) * hard + self.ratio * soft


def _taught_by_labels(
    teacher: nn.Module, ids: Tensor, mask: Tensor, kinds: Tensor | None, labels: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """The teacher's logits, and its mean hard loss where there are labels."""
    inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": mask}
    if kinds is not None:
        inputs["token_type_ids"] = kinds
    logits = teacher(**inputs).logits.float()
    return logits, None if labels is None else TASK.hard_loss(logits, labels, "mean")


def parameter_groups(
    model: nn.Module, learning_rate: float, weight_decay: float, peer_rate: float
) -> list[dict[str, Any]]:
    """For AdamW: decay on matrices only, and a peer's own learning rate."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((name.startswith("peer."), parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": peer_rate if is_peer else learning_rate,
            "weight_decay": weight_decay if is_matrix else 0.0,
        }
        for (is_peer, is_matrix), parameters in groups.items()
    ]
