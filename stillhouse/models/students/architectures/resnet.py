"""The ``resnet`` student: a residual 1-D CNN over word pieces."""

import torch
from torch import Tensor, nn

from stillhouse.models.students.network import TextNetwork
from stillhouse.params import Network
from stillhouse.registry import register


class Block(nn.Module):
    """Two convolutions of width 3 and a shortcut (He et al. 2016, arXiv:1512.03385). The length does not change."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(width, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm1d(width)
        self.conv2 = nn.Conv1d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm1d(width)
        self.norm2.zero_start = True  # type: ignore[assignment]
        # Drops whole channels (Tompson et al. 2015): neighbouring positions are similar. It needs few random numbers.
        self.dropout = nn.Dropout1d(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Transform ``x`` (batch, width, length), with ``mask`` (batch, 1, length) of 0 and 1, to the same shape."""
        y = torch.relu(self.norm1(self.conv1(x))) * mask
        return torch.relu(x + self.norm2(self.conv2(self.dropout(y)))) * mask


@register
class ResNet(TextNetwork):
    """A stem, then ``depth`` residual blocks of ``width`` channels that each halve the length.

    After K. He et al., "Deep Residual Learning", CVPR 2016, with the pyramid of R. Johnson and T. Zhang,
    "Deep Pyramid Convolutional Neural Networks for Text Categorization", ACL 2017.
    """

    def __init__(self, vocabulary: int, classes: int, settings: Network) -> None:
        super().__init__(vocabulary, classes, settings, states=settings.width)
        self.noise = nn.Dropout1d(settings.dropout)
        self.stem = nn.Conv1d(settings.embedding, settings.width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm1d(settings.width)
        self.blocks = nn.ModuleList(Block(settings.width, settings.dropout) for _ in range(settings.depth))
        self.halve = nn.MaxPool1d(2, ceil_mode=True)

    def encode(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode word vectors (batch, length, embedding) as states (batch, length / 2^depth, width)."""
        mask = mask.unsqueeze(1)
        x = torch.relu(self.norm(self.stem(self.noise(x.transpose(1, 2))))) * mask
        for block in self.blocks:
            x, mask = self.halve(x), self.halve(mask)
            x = block(x, mask)
        return x.transpose(1, 2), mask.squeeze(1)
