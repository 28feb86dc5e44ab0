"""Teachers that a simple model regularises: reversed distillation and mutual learning.

transformers' Trainer trains each wrapper in place of the teacher. A wrapper has the teacher's inputs and output, and
another loss. So the Trainer does batches, gradient accumulation, checkpoints and resuming as usual.
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
    """The teacher, trained on hard labels and on the soft labels of a simpler model, which was trained before.

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
        """As the teacher's ``forward``. ``hint``: logits of the simple model (batch, classes), in training only."""
        logits, loss = _logits_and_hard_loss(self.teacher, input_ids, attention_mask, token_type_ids, labels)
        if loss is not None and hint is not None:
            soft = TASK.soft_loss(logits, hint, self.temperature).mean()
            loss = (1 - self.ratio) * loss + self.ratio * soft
        return SequenceClassifierOutput(loss=loss, logits=logits)


class MutualTeacher(nn.Module):
    """The teacher and a simple peer, which learn from the labels and from each other.

    Y. Zhang et al., "Deep Mutual Learning", CVPR 2018, arXiv:1706.00384. The loss is the sum of both losses. Each uses
    the detached logits of the other, so no gradient flows between the two.
    """

    def __init__(self, teacher: nn.Module, peer: TextNetwork, texts: Encoded, settings: Mutual) -> None:
        """``texts`` are the training texts as token ids of the peer. A batch refers to them by row."""
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
        """As the teacher's ``forward``. ``row`` (batch,): rows of the training texts, in training only."""
        logits, loss = _logits_and_hard_loss(self.teacher, input_ids, attention_mask, token_type_ids, labels)
        if loss is not None and row is not None and labels is not None:
            ids = torch.from_numpy(self.texts.padded(row.cpu().numpy())).to(logits.device)
            of_peer = self.peer(ids)
            of_teacher = self._mixed(loss, logits, of_peer)
            loss = of_teacher + self._mixed(TASK.hard_loss(of_peer, labels, "mean"), of_peer, logits)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def _mixed(self, hard: Tensor, learner: Tensor, other: Tensor) -> Tensor:
        soft = TASK.soft_loss(learner, other.detach(), self.temperature).mean()
        return (1 - self.ratio) * hard + self.ratio * soft


def _logits_and_hard_loss(
    teacher: nn.Module, ids: Tensor, mask: Tensor, kinds: Tensor | None, labels: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Return the teacher's logits; with labels also its mean hard loss."""
    inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": mask}
    if kinds is not None:
        inputs["token_type_ids"] = kinds
    logits = teacher(**inputs).logits.float()
    return logits, None if labels is None else TASK.hard_loss(logits, labels, "mean")


def parameter_groups(
    model: nn.Module, learning_rate: float, weight_decay: float, peer_rate: float
) -> list[dict[str, Any]]:
    """Return parameter groups for AdamW: weight decay for matrices only, and the learning rate of the peer."""
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
