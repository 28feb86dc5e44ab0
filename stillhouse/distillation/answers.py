"""The folder of soft labels that the stage ``soft_labels`` writes.

- ``extra.arrow``: the texts of the transfer set beside the training texts.
- ``logits.npy``, ``features.npy`` and, if configured, ``relations.npy``: one row for each training text, then one for
  each extra text.
- ``validation.npy`` and ``heldout.npy``: logits of the validation and held-out texts, which no student learns from.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import Dataset

from stillhouse.data.splits import read_split
from stillhouse.data.transfer import UNLABELLED

VALIDATION, HELDOUT = "validation.npy", "heldout.npy"


@dataclass(frozen=True)
class SoftLabels:
    """Soft labels, memory-mapped.

    Attributes:
        extra: texts beside the training texts.
        logits: float32 (texts, classes), of the teacher and the second teachers together.
        features: float16 (texts, size), the inputs of the teacher's last linear layer. If it has no such layer, the
            mean of its last states.
        relations: float16 (texts, 3, words, width), queries, keys and values of the first words of each text.
    """

    extra: Dataset
    logits: np.ndarray
    features: np.ndarray
    relations: np.ndarray | None

    def used(self, folds: int | None) -> np.ndarray:
        """Return rows of ``extra``: the first ``folds`` altered copies (None: all) and all unlabelled texts."""
        fold = self.extra.with_format("arrow")[:]["fold"].to_numpy()
        return np.flatnonzero((fold == UNLABELLED) | (folds is None) | (fold < (folds or 0)))


def read_soft_labels(folder: Path) -> SoftLabels:
    """Open the folder that the stage ``soft_labels`` wrote."""
    relations = folder / "relations.npy"
    return SoftLabels(
        read_split(folder / "extra.arrow"),
        np.load(folder / "logits.npy", mmap_mode="r"),
        np.load(folder / "features.npy", mmap_mode="r"),
        np.load(relations, mmap_mode="r") if relations.exists() else None,
    )
