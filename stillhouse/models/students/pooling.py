"""Pooling of the states of a text to one vector. Padding is ignored."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

LOWEST = -1e4  # below every state, and finite in half precision


class Mean(nn.Module):
    """The mean of the states."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.size = channels

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Pool states (batch, positions, channels), with a ``mask`` (batch, positions), to (batch, ``size``)."""
        total = (mask.unsqueeze(1) @ states).squeeze(1)  # a matrix product: every runtime has a fast kernel for it
        return total / mask.sum(1, keepdim=True).clamp(min=1.0)


class Max(nn.Module):
    """The maximum of each channel over the positions (Collobert et al. 2011); 0 for a text without words."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.size = channels

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """As :meth:`Mean.forward`."""
        highest = (states + (1 - mask).unsqueeze(2) * LOWEST).amax(1)
        return highest * mask.amax(1, keepdim=True)


class MeanMax(nn.Module):
    """Mean and maximum, concatenated (Howard and Ruder 2018, "concat pooling")."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mean, self.max = Mean(channels), Max(channels)
        self.size = 2 * channels

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """As :meth:`Mean.forward`, with ``size`` twice the channels."""
        return torch.cat([self.mean(states, mask), self.max(states, mask)], 1)


class Attention(nn.Module):
    """A mean weighted by a learned query (Yang et al. 2016, "Hierarchical Attention Networks")."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.key = nn.Linear(channels, channels)
        self.query = nn.Linear(channels, 1, bias=False)
        self.size = channels

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """As :meth:`Mean.forward`."""
        scores: Tensor = self.query(torch.tanh(self.key(states))).squeeze(2) + (1 - mask) * LOWEST
        return (states * (scores.softmax(1) * mask).unsqueeze(2)).sum(1)


POOLINGS: dict[str, Callable[[int], Mean | Max | MeanMax | Attention]] = {
    "mean": Mean,
    "max": Max,
    "mean_max": MeanMax,
    "attention": Attention,
}
