"""The ``resnet`` student: a residual 1-D CNN over word pieces."""

import torch
from torch import Tensor, nn

from stillhouse.data.vocabulary import PAD_ID
from stillhouse.params import Network


class Block(nn.Module):
    """Two convolutions of width 3 and a shortcut (He et al. 2016, arXiv:1512.03385), length kept."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(width, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm1d(width)
        self.conv2 = nn.Conv1d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm1d(width)
        self.norm2.zero_start = True  # type: ignore[assignment]
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """``x`` (batch, width, length), ``mask`` (batch, 1, length) of 0 and 1; the same shape as ``x``."""
        y = torch.relu(self.norm1(self.conv1(x))) * mask
        return torch.relu(x + self.norm2(self.conv2(self.dropout(y)))) * mask


class ResNet(nn.Module):
    """Embedding, a stem, residual blocks that each halve the length, then mean and maximum over positions.

    After K. He et al., "Deep Residual Learning", CVPR 2016, with the pyramid of R. Johnson and T. Zhang,
    "Deep Pyramid Convolutional Neural Networks for Text Categorization", ACL 2017. Padding is masked
    throughout, so a text's logits do not depend on what it is batched with.
    """

    def __init__(self, vocabulary: int, classes: int, settings: Network) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, settings.embedding, padding_idx=PAD_ID)
        self.stem = nn.Conv1d(settings.embedding, settings.width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm1d(settings.width)
        self.blocks = nn.ModuleList(Block(settings.width, settings.dropout) for _ in range(settings.depth))
        self.halve = nn.MaxPool1d(2, ceil_mode=True)
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(2 * settings.width, classes)

    def forward(self, ids: Tensor) -> Tensor:
        """Token ids (batch, length), 0 for padding, to logits (batch, classes)."""
        mask = (ids != PAD_ID).unsqueeze(1).to(self.embedding.weight.dtype)
        x = self.dropout(self.embedding(ids)).transpose(1, 2)
        x = torch.relu(self.norm(self.stem(x))) * mask
        for index, block in enumerate(self.blocks):
            if index:
                x, mask = self.halve(x), self.halve(mask)
            x = block(x, mask)
        mean = x.sum(2) / mask.sum(2).clamp(min=1.0)
        # Activations are >= 0 and padding is 0, so the maximum needs no mask.
        return self.head(self.dropout(torch.cat([mean, x.amax(2)], 1)))
