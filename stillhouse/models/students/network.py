"""What every student is: word vectors, an encoder of its own, one vector for the text, and a linear layer."""

import torch
from torch import Tensor, nn

from stillhouse.data.vocabulary import PAD_ID, UNKNOWN_ID
from stillhouse.models.students.pooling import POOLINGS, Mean
from stillhouse.params import Network


class TextNetwork(nn.Module):
    """The base of all students: a subclass says how word vectors become states.

    Padding is masked throughout, so a text's logits do not depend on what it is batched with.
    """

    def __init__(self, vocabulary: int, classes: int, settings: Network, states: int) -> None:
        """``states`` is the number of channels that :meth:`encode` gives."""
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, settings.embedding, padding_idx=PAD_ID)
        self.word_dropout = settings.word_dropout
        self.pool = POOLINGS[settings.pooling](states)
        self.dropout = nn.Dropout(settings.dropout)
        self.bag = Mean(settings.embedding) if settings.bag else None
        self.features = self.pool.size + (settings.embedding if settings.bag else 0)
        self.head = nn.Linear(self.features, classes)

    def encode(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Word vectors (batch, length, embedding) and a mask (batch, length) of 0 and 1 to states and their mask.

        States are (batch, positions, channels), 0 where the mask (batch, positions) is 0; there may be fewer
        positions than words.
        """
        raise NotImplementedError

    def look_up(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Token ids (batch, length), 0 for padding, to word vectors and their mask, as :meth:`encode` takes them."""
        if self.training and self.word_dropout:
            # Unseen words: the cheapest noise there is (Iyyer et al. 2015, "Deep Averaging Networks").
            unseen = torch.rand(ids.shape, device=ids.device) < self.word_dropout
            ids = ids.masked_fill(unseen & (ids != PAD_ID), UNKNOWN_ID)
        mask = (ids != PAD_ID).to(self.embedding.weight.dtype)
        return self.embedding(ids), mask

    def pooled(self, ids: Tensor) -> Tensor:
        """Token ids (batch, length) to one vector for each text, (batch, ``features``)."""
        x, mask = self.look_up(ids)
        return self.join(x, mask, *self.encode(x, mask))

    def join(self, x: Tensor, mask: Tensor, states: Tensor, states_mask: Tensor) -> Tensor:
        """Pooled states, and where asked for the mean of the word vectors ``x`` beside them.

        That path sees which words there are and nothing of their order, as fastText does (Joulin et al. 2017);
        a network that has it need not learn to carry words through its layers (Cheng et al. 2016, "Wide & Deep").
        """
        pooled = self.pool(states, states_mask)
        if self.bag is None:
            return pooled
        return torch.cat([pooled, self.bag(x * mask.unsqueeze(2), mask)], 1)

    def classify(self, pooled: Tensor) -> Tensor:
        """Text vectors (batch, ``features``) to logits (batch, classes)."""
        return self.head(self.dropout(pooled))

    def forward(self, ids: Tensor) -> Tensor:
        """Token ids (batch, length), 0 for padding, to logits (batch, classes)."""
        return self.classify(self.pooled(ids))
