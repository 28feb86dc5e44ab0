"""The texts that the compression of a student reads; they are the same for all sizes."""

from dataclasses import dataclass
from itertools import islice

import numpy as np
from datasets import Dataset, concatenate_datasets

from stillhouse.compression.early_exit import ExitTexts
from stillhouse.serving.chunks import commonest

COMMON = 8_000  # frequent chunks of text that are stored with their word pieces: about 0.1 MB
EXIT_TEXTS = 3_000  # texts that the early exit learns from, and in each group that it is checked on
COUNTED_TEXTS = 20_000  # texts in which chunks are counted


@dataclass(frozen=True)
class CompressionTexts:
    """Texts for a compression.

    Attributes:
        train: to calibrate on.
        common: frequent chunks (:func:`~stillhouse.serving.chunks.commonest`); the model stores their word pieces.
        exits: for the early exit.
    """

    train: Dataset
    common: list[str]
    exits: ExitTexts

    @classmethod
    def of(cls, train: Dataset, unlabelled: Dataset, validation: Dataset, heldout: Dataset) -> "CompressionTexts":
        """Select the texts from splits; the student was trained on ``train`` and ``unlabelled`` alone."""
        seen, unseen = (
            concatenate_datasets([one.select_columns("text") for one in splits])
            for splits in ((unlabelled, train), (validation, heldout))
        )
        counted = (text for split in (train, unlabelled) for batch in split.iter(1000) for text in batch["text"])
        rows = np.random.default_rng(0).permutation(len(seen))[: 2 * EXIT_TEXTS]
        half = (len(rows) + 1) // 2
        checks = [list(unseen["text"][:EXIT_TEXTS]), list(seen.select(rows[half:])["text"])]
        exits = ExitTexts(list(seen.select(rows[:half])["text"]), checks)
        return cls(train, commonest(islice(counted, COUNTED_TEXTS), COMMON), exits)
