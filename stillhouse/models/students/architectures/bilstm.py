"""The ``bilstm`` student: a bidirectional LSTM over word pieces."""

import torch
from torch import Tensor, nn

from stillhouse.models.students.network import TextNetwork
from stillhouse.params import Network
from stillhouse.registry import register


@register
class BiLstm(TextNetwork):
    """``depth`` layers, each with ``width`` units a direction.

    R. Tang et al., "Distilling Task-Specific Knowledge from BERT into Simple Neural Networks", 2019,
    arXiv:1903.12136 (one layer). They use the last states; here the states of all positions are pooled. The
    backward direction starts at the end of each text, not at the padding of the batch.
    """

    def __init__(self, vocabulary: int, classes: int, settings: Network) -> None:
        super().__init__(vocabulary, classes, settings, states=2 * settings.width)
        self.noise = nn.Dropout1d(settings.dropout)
        sizes = [settings.embedding, *[2 * settings.width] * (settings.depth - 1)]
        self.onward = nn.ModuleList(nn.LSTM(size, settings.width, batch_first=True) for size in sizes)
        self.backward_ = nn.ModuleList(nn.LSTM(size, settings.width, batch_first=True) for size in sizes)

    def encode(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode word vectors (batch, length, embedding) as states (batch, length, 2 * width)."""
        x = self.noise(x.transpose(1, 2)).transpose(1, 2)
        turned = _reversal(mask)
        for onward, backward in zip(self.onward, self.backward_, strict=True):
            right, _ = onward(x)
            left, _ = backward(_reorder(x, turned))
            x = torch.cat([right, _reorder(left, turned)], 2) * mask.unsqueeze(2)
        return x, mask


def _reversal(mask: Tensor) -> Tensor:
    """Return the positions of each text in reverse order; padding stays at the end. The permutation inverts itself."""
    lengths = mask.sum(1, keepdim=True).to(torch.int64)
    positions = torch.arange(mask.shape[1], device=mask.device).unsqueeze(0)
    return torch.where(positions < lengths, lengths - 1 - positions, positions)


def _reorder(x: Tensor, order: Tensor) -> Tensor:
    return x.gather(1, order.unsqueeze(2).expand(-1, -1, x.shape[2]))
