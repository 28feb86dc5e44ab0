"""Pooling of token vectors to one vector for each text: the poolings of sentence-transformers, with its names.

N. Reimers and I. Gurevych, "Sentence-BERT", EMNLP 2019; sentence-transformers 6.2, ``Pooling`` and ``Dense``.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

READING = "reading.json"


def _picked(states: Tensor, places: Tensor) -> Tensor:
    return states[torch.arange(len(states), device=states.device), places]


def _sum(states: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    weights = weights.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1), weights.sum(1)


def token_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of states (batch, length, size), weighted by ``mask`` (batch, length), as (batch, size).

    Students use ``students/pooling.py``: a matrix product, which sums in another order.
    """
    total, count = _sum(states, mask)
    return total / count.clamp(min=1.0)


def _mean(states: Tensor, mask: Tensor, _: Tensor) -> Tensor:
    return token_mean(states, mask)


def _mean_sqrt(states: Tensor, mask: Tensor, _: Tensor) -> Tensor:
    total, count = _sum(states, mask)
    return total / count.clamp(min=1.0).sqrt()


def _weighted_mean(states: Tensor, mask: Tensor, places: Tensor) -> Tensor:
    return token_mean(states, mask * places)


def _max(states: Tensor, mask: Tensor, _: Tensor) -> Tensor:
    return states.masked_fill(mask.unsqueeze(-1) == 0, torch.finfo(states.dtype).min).amax(1)


def _cls(states: Tensor, mask: Tensor, _: Tensor) -> Tensor:
    return _picked(states, mask.int().argmax(1))


def _last(states: Tensor, mask: Tensor, _: Tensor) -> Tensor:
    return _picked(states, mask.shape[1] - 1 - mask.flip(1).int().argmax(1))


# Each takes states (batch, length, size), a mask (batch, length) and the position of each token from 1 (batch, length),
# and returns (batch, size). Padding may be on either side. Vectors of several poolings are joined in this order.
POOLINGS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "cls": _cls,
    "max": _max,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_sqrt,
    "weightedmean": _weighted_mean,
    "lasttoken": _last,
}
ACTIVATIONS = ("Identity", "Tanh", "ReLU", "GELU", "SiLU", "Sigmoid", "ELU", "LeakyReLU", "Mish", "Softplus")


@dataclass(frozen=True)
class Layer:
    """A dense layer after pooling. ``activation`` is a name in torch.nn."""

    inputs: int
    outputs: int
    bias: bool
    activation: str


@dataclass(frozen=True)
class Reading:
    """How a teacher turns a text into one vector.

    Attributes:
        poolings: names in ``POOLINGS``; their vectors are joined. Empty if the checkpoint has its own head.
        layers: dense layers after pooling.
        prompt: put before each text.
        skipped: number of tokens at the start (those of the prompt) that are not pooled.
    """

    poolings: tuple[str, ...] = ("mean",)
    layers: tuple[Layer, ...] = ()
    prompt: str = ""
    skipped: int = 0

    def save(self, folder: Path) -> None:
        """Write ``reading.json``. Plain mean pooling and the checkpoint's own head, without a prompt, need no file."""
        if self.layers or self.prompt or self.poolings not in ((), ("mean",)):
            (folder / READING).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Reading":
        """Load a folder of :meth:`save`."""
        if not (folder / READING).exists():
            return cls()
        values = json.loads((folder / READING).read_text(encoding="utf-8"))
        layers = tuple(Layer(**layer) for layer in values["layers"])
        return cls(tuple(values["poolings"]), layers, values["prompt"], values["skipped"])


class Pooling(nn.Module):
    """Pools token vectors to text vectors as a :class:`Reading` describes."""

    def __init__(self, reading: Reading, size: int) -> None:
        super().__init__()
        self.reading = reading
        self.dense = nn.Sequential(*(self._dense(layer) for layer in reading.layers))
        self.size = reading.layers[-1].outputs if reading.layers else size * len(reading.poolings)

    @staticmethod
    def _dense(layer: Layer) -> nn.Sequential:
        return nn.Sequential(nn.Linear(layer.inputs, layer.outputs, layer.bias), getattr(nn, layer.activation)())

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Pool states (batch, length, size) with a mask (batch, length) of 0 and 1 to (batch, ``self.size``)."""
        places = mask.cumsum(1)
        if self.reading.skipped:
            after = mask * (places > self.reading.skipped)
            mask = torch.where(after.any(1, keepdim=True), after, mask)  # a text may be truncated within its prompt
        vectors = [POOLINGS[name](states, mask, places) for name in self.reading.poolings]
        pooled: Tensor = self.dense(torch.cat(vectors, 1) if len(vectors) > 1 else vectors[0])
        return pooled
