"""The wide branch of a student: the words of the whole text, and its pairs of neighbouring words.

It adds the strength of TF-IDF with a linear model to the network (Cheng et al. 2016, "Wide & Deep"). Pairs are hashed
as in fastText (Joulin et al. 2017).
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from stillhouse.data.encoded import Encoded
from stillhouse.data.vocabulary import PAD_ID
from stillhouse.params import Wide as Settings
from stillhouse.serving.hashing import MULTIPLIER, SMALLEST

COUNTED = 100  # texts whose pieces are counted at once


def pair_buckets(ids: Tensor, buckets: int) -> tuple[Tensor, Tensor]:
    """Return the bucket of each token with its right neighbour, and a mask of tokens that have one.

    ``ids`` and both results are (batch, length).
    """
    after = functional.pad(ids[:, 1:], (0, 1), value=PAD_ID)
    return torch.remainder(ids * MULTIPLIER + after, buckets), after != PAD_ID


def lookup(table: Tensor, ids: Tensor) -> Tensor:
    """Return ``table[ids]`` for a table of numbers, with a deterministic gradient.

    The gradient of indexing is not deterministic: PyTorch adds up the results of several threads in any order.
    """
    if not torch.is_grad_enabled():
        return table[ids]
    return functional.embedding(ids, table.unsqueeze(1)).squeeze(2)


class Wide(nn.Module):
    """The weighted sum of the vectors of pieces and pairs, divided by the root of the sum of squared weights.

    Weights start at the inverse document frequency, as in TF-IDF with l2 norm, and are learnt like the vectors. Pieces
    and pairs that are in no training text have weight 0.
    """

    def __init__(self, vocabulary: int, settings: Settings) -> None:
        super().__init__()
        self.buckets = buckets = settings.buckets
        # Drops the whole branch for a text, so that the deep branch learns even if words alone would suffice.
        self.dropout = nn.Dropout1d(settings.dropout)
        self.pieces, self.pairs = (
            nn.Embedding(vocabulary, settings.embedding),
            nn.Embedding(buckets, settings.embedding),
        )
        self.piece_weights, self.pair_weights = nn.Parameter(torch.ones(vocabulary)), nn.Parameter(torch.ones(buckets))

    def forward(self, ids: Tensor) -> Tensor:
        """Return text vectors (batch, size) of token ids (batch, length), 0 for padding."""
        pairs, is_pair = pair_buckets(ids, self.buckets)
        weights = lookup(self.piece_weights, ids) * (ids != PAD_ID)
        pair_weights = lookup(self.pair_weights, pairs) * is_pair
        total = (weights.unsqueeze(1) @ self.pieces(ids) + pair_weights.unsqueeze(1) @ self.pairs(pairs)).squeeze(1)
        squares = weights.square().sum(1, keepdim=True) + pair_weights.square().sum(1, keepdim=True)
        vectors: Tensor = self.dropout((total / (squares + SMALLEST).sqrt()).unsqueeze(1)).squeeze(1)
        return vectors

    @torch.no_grad()
    def set_idf_weights(self, texts: Encoded) -> None:
        """Set the weights to the inverse document frequency in ``texts``: logarithmic, smoothed as in scikit-learn."""
        for weights, counts in zip((self.piece_weights, self.pair_weights), self._frequencies(texts), strict=True):
            idf = np.log((1 + len(texts)) / (1 + counts)) + 1
            weights.copy_(torch.from_numpy(np.where(counts > 0, idf, 0.0)))

    def _frequencies(self, texts: Encoded) -> tuple[np.ndarray, np.ndarray]:
        pieces, pairs = np.zeros(len(self.piece_weights), np.int64), np.zeros(self.buckets, np.int64)
        for start in range(0, len(texts), COUNTED):
            rows = np.arange(start, min(start + COUNTED, len(texts)))
            ids = texts.padded(rows)
            buckets, is_pair = pair_buckets(torch.from_numpy(ids), self.buckets)
            inside = np.arange(ids.shape[1]) < np.maximum(texts.offsets[rows + 1] - texts.offsets[rows], 1)[:, None]
            pieces += _texts_with(ids, inside, len(pieces))
            pairs += _texts_with(buckets.numpy(), is_pair.numpy(), len(pairs))
        return pieces, pairs


def _texts_with(numbers: np.ndarray, chosen: np.ndarray, size: int) -> np.ndarray:
    """Return for each number below ``size`` how many rows of ``numbers`` have it where ``chosen`` is true, (size,)."""
    of_text = np.arange(len(numbers))[:, None] * size + numbers
    counts: np.ndarray = np.bincount(np.unique(of_text[chosen]) % size, minlength=size)
    return counts
