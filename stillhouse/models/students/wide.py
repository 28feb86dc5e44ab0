"""A wide branch beside the deep one: which words, and which pairs of neighbours, the whole text has.

It is what makes TF-IDF with a linear model hard to beat, as a part of the network (Cheng et al. 2016, "Wide & Deep";
hashed pairs as in Joulin et al. 2017, fastText).
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from stillhouse.data.encoded import Encoded
from stillhouse.data.vocabulary import PAD_ID
from stillhouse.params import Wide as Settings

MULTIPLIER = 31_337  # of the first piece of a pair: odd, and beyond a usual vocabulary


def pairs_of(ids: Tensor, buckets: int) -> tuple[Tensor, Tensor]:
    """Token ids (batch, length) to the bucket of each with its right neighbour, and where there is one."""
    after = functional.pad(ids[:, 1:], (0, 1), value=PAD_ID)
    return torch.remainder(ids * MULTIPLIER + after, buckets), after != PAD_ID


def looked_up(table: Tensor, ids: Tensor) -> Tensor:
    """``table[ids]`` for a table of numbers; where it is learnt, its gradient is summed in the same order every time.

    That of an index is not: on several threads PyTorch adds in the order in which they come.
    """
    if not torch.is_grad_enabled():
        return table[ids]
    return functional.embedding(ids, table.unsqueeze(1)).squeeze(2)


class Wide(nn.Module):
    """The weighted sum of the pieces' and pairs' vectors, over the root of the weights' summed squares.

    Weights start at the inverse document frequency, as in TF-IDF with l2 norm, and are learnt like the vectors. What
    no training text has weighs nothing.
    """

    def __init__(self, vocabulary: int, settings: Settings) -> None:
        super().__init__()
        self.buckets = buckets = settings.buckets
        # The whole branch of a text is left out, so that the deep one learns even where words alone would do.
        self.dropout = nn.Dropout1d(settings.dropout)
        self.pieces, self.pairs = nn.Embedding(vocabulary, settings.size), nn.Embedding(buckets, settings.size)
        self.piece_weights, self.pair_weights = nn.Parameter(torch.ones(vocabulary)), nn.Parameter(torch.ones(buckets))

    def forward(self, ids: Tensor) -> Tensor:
        """Token ids (batch, length), 0 for padding, to text vectors (batch, size)."""
        pairs, there = pairs_of(ids, self.buckets)
        weights = looked_up(self.piece_weights, ids) * (ids != PAD_ID)
        pair_weights = looked_up(self.pair_weights, pairs) * there
        total = (weights.unsqueeze(1) @ self.pieces(ids) + pair_weights.unsqueeze(1) @ self.pairs(pairs)).squeeze(1)
        squares = weights.square().sum(1, keepdim=True) + pair_weights.square().sum(1, keepdim=True)
        vectors: Tensor = self.dropout((total / (squares + 1e-6).sqrt()).unsqueeze(1)).squeeze(1)
        return vectors

    @torch.no_grad()
    def weigh(self, texts: Encoded) -> None:
        """Set the weights to the inverse document frequency in ``texts``: its logarithm, smoothed as scikit-learn's."""
        for weights, counts in zip((self.piece_weights, self.pair_weights), self._frequencies(texts), strict=True):
            idf = np.log((1 + len(texts)) / (1 + counts)) + 1
            weights.copy_(torch.from_numpy(np.where(counts > 0, idf, 0.0)))

    def _frequencies(self, texts: Encoded) -> tuple[np.ndarray, np.ndarray]:
        pieces, pairs = np.zeros(len(self.piece_weights), np.int64), np.zeros(self.buckets, np.int64)
        for row in range(len(texts)):
            ids = torch.from_numpy(texts.padded(np.array([row])))
            buckets, there = pairs_of(ids, self.buckets)
            pieces[np.unique(ids.numpy())] += 1
            pairs[np.unique(buckets[there].numpy())] += 1
        return pieces, pairs
