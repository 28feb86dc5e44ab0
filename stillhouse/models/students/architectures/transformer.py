"""The ``transformer`` student: a few layers of BERT's kind."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from stillhouse.models.students.network import TextNetwork
from stillhouse.models.students.pooling import LOWEST
from stillhouse.params import Network
from stillhouse.registry import register


@dataclass
class Attended:
    """Queries, keys and values of the last layer, each (batch, length, width)."""

    query: Tensor
    key: Tensor
    value: Tensor


class Layer(nn.Module):
    """Self-attention and a feed-forward network, each followed by a sum and a norm (Vaswani et al. 2017)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.joined = nn.Linear(width, width)
        self.norm1 = nn.LayerNorm(width, eps=1e-12)
        self.inner = nn.Linear(width, 4 * width)
        self.outer = nn.Linear(4 * width, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-12)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, bias: Tensor) -> tuple[Tensor, Attended]:
        """Transform ``x`` (batch, length, width). ``bias`` (batch, 1, 1, length) is added to the attention scores."""
        attended = Attended(self.query(x), self.key(x), self.value(x))
        query, key, value = (y.unflatten(2, (self.heads, -1)).transpose(1, 2) for y in vars(attended).values())
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias).transpose(1, 2).flatten(2)
        x = self.norm1(x + self.dropout(self.joined(mixed)))
        return self.norm2(x + self.dropout(self.outer(functional.gelu(self.inner(x))))), attended


@register
class Transformer(TextNetwork):
    """``depth`` layers of ``width``, over word vectors that one linear layer widens.

    After V. Sanh et al., "DistilBERT", 2019, arXiv:1910.01108, whose layers start as layers of the teacher
    (``models/inherit.py``), and Z. Lan et al., "ALBERT", ICLR 2020, for the factorised word vectors.
    """

    attends = True
    weights_only = ("outer",)  # the values before it range wider than 8 bits resolve

    def __init__(self, vocabulary: int, classes: int, settings: Network) -> None:
        super().__init__(vocabulary, classes, settings, states=settings.width)
        self.heads = settings.heads
        self.widen = nn.Linear(settings.embedding, settings.width)
        self.positions = nn.Embedding(settings.max_length, settings.width)
        self.norm = nn.LayerNorm(settings.width, eps=1e-12)
        self.layers = nn.ModuleList(
            [Layer(settings.width, settings.heads, settings.dropout) for _ in range(settings.depth)]
        )

    def encode(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode word vectors (batch, length, embedding) as states (batch, length, width)."""
        x, _ = self.attend(x, mask)
        return x * mask.unsqueeze(2), mask

    def pooled_and_attended(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`pooled`, with queries, keys and values of the last layer, (batch, 3, length, width)."""
        ids = self.drop_words(ids)
        x, mask = self.embed(ids)
        states, attended = self.attend(x, mask)
        pooled = self.concatenate(ids, x, mask, states * mask.unsqueeze(2), mask)
        return pooled, torch.stack([attended.query, attended.key, attended.value], 1)

    def attend(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Attended]:
        """As :meth:`encode`, with queries, keys and values of the last layer."""
        places = self.positions(torch.arange(x.shape[1], device=x.device))
        x = self.norm(self.widen(x) + places)
        bias = ((1 - mask) * LOWEST)[:, None, None, :]
        for layer in self.layers:
            x, attended = layer(x, bias)
        return x, attended
