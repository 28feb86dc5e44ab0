"""The ``vgg`` student: a plain deep 1-D CNN over word pieces."""

import torch
from torch import Tensor, nn

from stillhouse.models.students.network import TextNetwork
from stillhouse.params import Network
from stillhouse.registry import register


@register
class Vgg(TextNetwork):
    """``depth`` stages of two convolutions of width 3; each stage after the first halves the length.

    K. Simonyan and A. Zisserman, "Very Deep Convolutional Networks", ICLR 2015, applied to words as in
    A. Conneau et al., "Very Deep Convolutional Networks for Text Classification" (VDCNN), EACL 2017. Batch
    normalisation, as in VDCNN, makes training possible without shortcuts. The first stage has ``width`` channels, the
    others have twice as many. More doubling helps with images, but not with texts of a few hundred words.
    """

    def __init__(self, vocabulary: int, classes: int, settings: Network) -> None:
        widths = [settings.width * (1 if stage == 0 else 2) for stage in range(settings.depth)]
        super().__init__(vocabulary, classes, settings, states=widths[-1])
        self.noise = nn.Dropout1d(settings.dropout)
        self.convolutions = nn.ModuleList()
        self.norms = nn.ModuleList()
        channels = settings.embedding
        for width in widths:
            for _ in range(2):
                self.convolutions.append(nn.Conv1d(channels, width, 3, padding=1, bias=False))
                self.norms.append(nn.BatchNorm1d(width))
                channels = width
        self.halve = nn.MaxPool1d(2, ceil_mode=True)

    def encode(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode word vectors (batch, length, embedding) as states (batch, length / 2^(depth - 1), channels)."""
        x, mask = self.noise(x.transpose(1, 2)), mask.unsqueeze(1)
        for index, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            if index and index % 2 == 0:
                x, mask = self.halve(x), self.halve(mask)
            x = torch.relu(norm(convolution(x))) * mask
        return x.transpose(1, 2), mask.squeeze(1)
