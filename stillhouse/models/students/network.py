"""What every student is: word vectors, an encoder of its own, one vector for the text, and a linear layer."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from stillhouse.data.encoded import Encoded
from stillhouse.data.vocabulary import PAD_ID, UNKNOWN_ID
from stillhouse.models.students.pooling import POOLINGS, Mean
from stillhouse.models.students.wide import Wide
from stillhouse.params import Network


class TextNetwork(nn.Module):
    """The base of all students: a subclass says how word vectors become states.

    Padding is masked throughout, so a text's logits do not depend on what it is batched with.

    Attributes:
        attends: whether :meth:`pooled_and_attended` works, which losses that compare relations need.
        piece_tables: parameters with one row for each word piece. A smaller vocabulary drops rows of these.
        float_parts: submodules outside the encoder. In a convolutional student ``int8_static`` quantises the
            operations between convolutions, but not those in these parts.
    """

    attends: ClassVar[bool] = False
    piece_tables: ClassVar[tuple[str, ...]] = ("embedding.weight", "wide.pieces.weight", "wide.piece_weights")
    float_parts: ClassVar[tuple[str, ...]] = ("pool", "bag", "wide", "head")

    def __init__(self, vocabulary: int, classes: int, settings: Network, states: int) -> None:
        """``states`` is the number of channels that :meth:`encode` gives."""
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, settings.embedding, padding_idx=PAD_ID)
        self.word_dropout = settings.word_dropout
        self.pool = POOLINGS[settings.pooling](states)
        self.dropout = nn.Dropout(settings.dropout)
        self.bag = Mean(settings.embedding) if settings.bag else None
        wide = settings.wide
        self.wide = Wide(vocabulary, wide) if wide.size else None
        self.deep_length = settings.max_length
        self.features = self.pool.size + (settings.embedding if settings.bag else 0) + wide.size
        self.head = nn.Linear(self.features, classes)

    def encode(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Word vectors (batch, length, embedding) and a mask (batch, length) of 0 and 1 to states and their mask.

        States are (batch, positions, channels), 0 where the mask (batch, positions) is 0; there may be fewer
        positions than words.
        """
        raise NotImplementedError

    def weigh(self, texts: Encoded) -> None:
        """Start the wide branch, where there is one, at the inverse document frequencies in ``texts``."""
        if self.wide is not None:
            self.wide.weigh(texts)

    def noisy(self, ids: Tensor) -> Tensor:
        """Token ids (batch, length), in training some of them unseen."""
        if not (self.training and self.word_dropout):
            return ids
        # The cheapest noise there is (Iyyer et al. 2015, "Deep Averaging Networks").
        unseen = torch.rand(ids.shape, device=ids.device) < self.word_dropout
        return ids.masked_fill(unseen & (ids != PAD_ID), UNKNOWN_ID)

    def look_up(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Token ids (batch, length), 0 for padding, to what :meth:`encode` takes of their beginning."""
        ids = ids[:, : self.deep_length]
        return self.embedding(ids), (ids != PAD_ID).to(self.embedding.weight.dtype)

    def pooled(self, ids: Tensor) -> Tensor:
        """Token ids (batch, length) to one vector for each text, (batch, ``features``)."""
        ids = self.noisy(ids)
        x, mask = self.look_up(ids)
        return self.join(ids, x, mask, *self.encode(x, mask))

    def pooled_and_attended(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`pooled`, with queries, keys and values of the last layer, (batch, 3, length, width).

        Only for a network that ``attends``.
        """
        raise NotImplementedError

    def join(self, ids: Tensor, x: Tensor, mask: Tensor, states: Tensor, states_mask: Tensor) -> Tensor:
        """Pooled states, and where asked for the mean of the word vectors ``x`` and the wide branch beside them.

        Those see which words there are and little of their order, as fastText does (Joulin et al. 2017); a network
        that has them need not learn to carry words through its layers.
        """
        parts = [self.pool(states, states_mask)]
        if self.bag is not None:
            parts.append(self.bag(x, mask))
        if self.wide is not None:
            parts.append(self.wide(ids))
        return torch.cat(parts, 1)

    def classify(self, pooled: Tensor) -> Tensor:
        """Text vectors (batch, ``features``) to logits (batch, classes)."""
        logits: Tensor = self.head(self.dropout(pooled))
        return logits

    def forward(self, ids: Tensor) -> Tensor:
        """Token ids (batch, length), 0 for padding, to logits (batch, classes)."""
        return self.classify(self.pooled(ids))
