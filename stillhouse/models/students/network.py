"""The base of all students: word vectors, an encoder, pooling to one vector for each text, and a linear layer."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from stillhouse.data.encoded import Encoded
from stillhouse.data.vocabulary import PAD_ID, UNKNOWN_ID
from stillhouse.models.students.pooling import POOLINGS, Mean
from stillhouse.models.students.wide import Wide
from stillhouse.params import Network


class TextNetwork(nn.Module):
    """The base of all students. A subclass defines :meth:`encode`.

    Padding is masked everywhere, so the logits of a text do not depend on the other texts of its batch.

    Attributes:
        attends: whether the network has :meth:`pooled_and_attended`. Losses that compare relations need it.
        encodes: whether there are layers between the word vectors and the pooling.
        piece_tables: parameters with one row for each word piece. A smaller vocabulary drops rows of these. Empty: the
            vocabulary is fixed.
        float_parts: submodules outside the encoder. In a convolutional student ``int8_static`` quantises the
            operations between convolutions, but not those in these parts.
        weights_only: submodules whose inputs have outliers. ``int8_static`` stores their weights in 8-bit integers and
            calculates in float32. Empty: no such part.
    """

    attends: ClassVar[bool] = False
    encodes: ClassVar[bool] = True
    piece_tables: ClassVar[tuple[str, ...]] = ("embedding.weight", "wide.pieces.weight", "wide.piece_weights")
    float_parts: ClassVar[tuple[str, ...]] = ("pool", "bag", "wide", "head")
    weights_only: ClassVar[tuple[str, ...]] = ()

    def __init__(self, vocabulary: int, classes: int, settings: Network, states: int) -> None:
        """``states`` is the number of channels that :meth:`encode` returns; 0: there is no encoder."""
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, settings.embedding, padding_idx=PAD_ID)
        self.word_dropout = settings.word_dropout
        self.pool = POOLINGS[settings.pooling](states) if states else None
        self.dropout = nn.Dropout(settings.dropout)
        self.bag = Mean(settings.embedding) if settings.bag else None
        wide = settings.wide
        self.wide = Wide(vocabulary, wide) if wide.embedding else None
        self.deep_length = settings.max_length
        parts = [self.pool.size if self.pool else 0, settings.embedding if settings.bag else 0, wide.embedding]
        self.features = sum(parts)
        self.head = nn.Linear(self.features, classes)

    def encode(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode word vectors (batch, length, embedding), with a mask (batch, length) of 0 and 1.

        Returns:
            States (batch, positions, channels) and their mask (batch, positions). States are 0 where the mask is 0.
            There may be fewer positions than words.
        """
        raise NotImplementedError

    def initialise_wide(self, texts: Encoded) -> None:
        """Set the weights of the wide branch, if there is one, to the inverse document frequencies in ``texts``."""
        if self.wide is not None:
            self.wide.set_idf_weights(texts)

    def drop_words(self, ids: Tensor) -> Tensor:
        """Return token ids (batch, length). In training some are replaced by the unknown token."""
        if not (self.training and self.word_dropout):
            return ids
        # Word dropout costs almost nothing (Iyyer et al. 2015, "Deep Averaging Networks").
        dropped = torch.rand(ids.shape, device=ids.device) < self.word_dropout
        return ids.masked_fill(dropped & (ids != PAD_ID), UNKNOWN_ID)

    def embed(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return word vectors and mask of the first ``deep_length`` token ids, as :meth:`encode` takes them.

        ``ids`` (batch, length) are 0 for padding.
        """
        ids = ids[:, : self.deep_length]
        return self.embedding(ids), (ids != PAD_ID).to(self.embedding.weight.dtype)

    def pooled(self, ids: Tensor) -> Tensor:
        """Return one vector for each text, (batch, ``features``), from token ids (batch, length)."""
        ids = self.drop_words(ids)
        x, mask = self.embed(ids)
        return self.concatenate(ids, x, mask, *self.encode(x, mask))

    def pooled_and_attended(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`pooled`, with queries, keys and values of the last layer, (batch, 3, length, width).

        Only for a network that ``attends``.
        """
        raise NotImplementedError

    def concatenate(self, ids: Tensor, x: Tensor, mask: Tensor, states: Tensor, states_mask: Tensor) -> Tensor:
        """Concatenate the pooled states with the mean of the word vectors ``x`` and the wide branch, if configured.

        Both additions represent the words and little of their order, as fastText does (Joulin et al. 2017). With them
        the layers need not pass on the words themselves.
        """
        parts = []
        if self.pool is not None:
            parts.append(self.pool(states, states_mask))
        if self.bag is not None:
            parts.append(self.bag(x, mask))
        if self.wide is not None:
            parts.append(self.wide(ids))
        return torch.cat(parts, 1)

    def classify(self, pooled: Tensor) -> Tensor:
        """Return logits (batch, classes) of text vectors (batch, ``features``)."""
        logits: Tensor = self.head(self.dropout(pooled))
        return logits

    def forward(self, ids: Tensor) -> Tensor:
        """Return logits (batch, classes) of token ids (batch, length), 0 for padding."""
        return self.classify(self.pooled(ids))
