"""Pooling of token vectors to one vector for each text: the poolings of sentence-transformers, with its names.

N. Reimers and I. Gurevych, "Sentence-BERT", EMNLP 2019; sentence-transformers 6.2, ``Pooling`` and ``Dense``.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

FILE = "reading.json"


def _select(states: Tensor, positions: Tensor) -> Tensor:
    """Return the state at one position of each text, counted from 0: (batch, size)."""
    return states[torch.arange(len(states), device=states.device), positions]


def _sum(states: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    weights = weights.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1), weights.sum(1)


def token_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of states (batch, length, size), weighted by ``mask`` (batch, length), as (batch, size).

    Students use ``students/pooling.py``: a matrix product, which sums in another order, so the last digits
    differ.
    """
    total, count = _sum(states, mask)
    return total / count.clamp(min=1.0)


def _mean(states: Tensor, mask: Tensor, _: Tensor) -> Tensor:
    return token_mean(states, mask)


def _mean_sqrt(states: Tensor, mask: Tensor, _: Tensor) -> Tensor:
    total, count = _sum(states, mask)
    return total / count.clamp(min=1.0).sqrt()


def _weighted_mean(states: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
    return token_mean(states, mask * positions)


def _max(states: Tensor, mask: Tensor, _: Tensor) -> Tensor:
    return states.masked_fill(mask.unsqueeze(-1) == 0, torch.finfo(states.dtype).min).amax(1)


def _cls(states: Tensor, mask: Tensor, _: Tensor) -> Tensor:
    return _select(states, mask.int().argmax(1))


def _last(states: Tensor, mask: Tensor, _: Tensor) -> Tensor:
    return _select(states, mask.shape[1] - 1 - mask.flip(1).int().argmax(1))


# Each takes states (batch, length, size), a mask (batch, length) and the position of each token from 1 (batch, length),
# and returns (batch, size). Padding may be on either side.
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
class PoolingConfig:
    """How a teacher turns a text into one vector.

    Attributes:
        poolings: names in ``POOLINGS``; their vectors are joined in this order. Empty if the checkpoint has its own
            head.
        layers: dense layers after pooling.
        prompt: put before each text.
        prompt_tokens: number of tokens at the start that are not pooled, because they belong to the prompt. 0 if the
            prompt is pooled, too.
    """

    poolings: tuple[str, ...] = ("mean",)
    layers: tuple[Layer, ...] = ()
    prompt: str = ""
    prompt_tokens: int = 0

    def save(self, folder: Path) -> None:
        """Write ``reading.json``, unless it would have only a mean pooling or only the checkpoint's own head.

        Without the file, :meth:`load` returns mean pooling; of it a teacher with its own head uses the prompt alone.
        If no file is written, an older one in ``folder`` is removed.
        """
        if self.layers or self.prompt or self.poolings not in ((), ("mean",)):
            values = asdict(self)
            values["skipped"] = values.pop("prompt_tokens")  # the key in folders of earlier versions
            (folder / FILE).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        else:
            (folder / FILE).unlink(missing_ok=True)

    @classmethod
    def load(cls, folder: Path) -> "PoolingConfig":
        """Read ``reading.json`` in ``folder``. If the file does not exist, return mean pooling without a prompt."""
        if not (folder / FILE).exists():
            return cls()
        values = json.loads((folder / FILE).read_text(encoding="utf-8"))
        layers = tuple(Layer(**layer) for layer in values["layers"])
        return cls(tuple(values["poolings"]), layers, values["prompt"], values["skipped"])

    def __str__(self) -> str:
        """Return a text for :func:`teacher_md5`. If it changes, interrupted trainings do not find their checkpoints."""
        return (
            f"Reading(poolings={self.poolings!r}, layers={self.layers!r}, prompt={self.prompt!r}, "
            f"skipped={self.prompt_tokens!r})"
        )


class Pooling(nn.Module):
    """Pools token vectors to text vectors as a :class:`PoolingConfig` describes."""

    def __init__(self, config: PoolingConfig, size: int) -> None:
        super().__init__()
        self.config = config
        self.dense = nn.Sequential(*(self._dense(layer) for layer in config.layers))
        self.size = config.layers[-1].outputs if config.layers else size * len(config.poolings)

    @staticmethod
    def _dense(layer: Layer) -> nn.Sequential:
        return nn.Sequential(nn.Linear(layer.inputs, layer.outputs, layer.bias), getattr(nn, layer.activation)())

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Pool states (batch, length, size) with a mask (batch, length) of 0 and 1 to (batch, ``self.size``)."""
        positions = mask.cumsum(1)
        if self.config.prompt_tokens:
            after = mask * (positions > self.config.prompt_tokens)
            # If truncation left only prompt tokens, pool those.
            mask = torch.where(after.any(1, keepdim=True), after, mask)
        vectors = [POOLINGS[name](states, mask, positions) for name in self.config.poolings]
        pooled: Tensor = self.dense(torch.cat(vectors, 1) if len(vectors) > 1 else vectors[0])
        return pooled
