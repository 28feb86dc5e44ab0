"""The soft labels of the transfer set, as they lie beside it.

A folder of ``extra.arrow`` (texts beside the training texts), ``logits.npy``, ``features.npy`` and, where
asked for, ``relations.npy``; the arrays' rows are the training texts, then the extra ones. ``validation.npy`` and
``heldout.npy`` have the logits of the validation and the held-out texts, which no student learns from.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import Dataset

from stillhouse.data.splits import read_split
from stillhouse.data.transfer import UNLABELLED

VALIDATION, HELDOUT = "validation.npy", "heldout.npy"


@dataclass(frozen=True)
class Answers:
    """What the stage ``soft_labels`` wrote, memory-mapped.

    ``logits`` float32 (texts, classes), of the teacher and the second teachers together; ``features`` float16
    (texts, size), what the teacher's last linear layer reads, or the mean of its last states where it has no such
    layer; ``relations`` float16 (texts, 3, words, width), queries, keys and values of each text's first words.
    """

    extra: Dataset
    logits: np.ndarray
    features: np.ndarray
    relations: np.ndarray | None

    def used(self, folds: int | None) -> np.ndarray:
        """Rows of ``extra``: the first ``folds`` altered copies (None: all) and all unlabelled texts."""
        fold = np.array(self.extra["fold"], dtype=np.int64)
        return np.flatnonzero((fold == UNLABELLED) | (folds is None) | (fold < (folds or 0)))


def read_answers(folder: Path) -> Answers:
    """The folder that the stage ``soft_labels`` wrote."""
    relations = folder / "relations.npy"
    return Answers(
        read_split(folder / "extra.arrow"),
        np.load(folder / "logits.npy", mmap_mode="r"),
        np.load(folder / "features.npy", mmap_mode="r"),
        np.load(relations, mmap_mode="r") if relations.exists() else None,
    )
