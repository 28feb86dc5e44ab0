"""Inputs of a linear probe for each text, from the stage ``teacher`` for later stages.

The encoder of a probe is frozen, so ``soft_labels`` need not encode these texts again.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

INPUTS, ROWS, UNSEEN = "inputs.npy", "unlabelled_rows.npy", "unseen.npy"


def _none() -> np.ndarray:
    return np.zeros((0, 0), np.float32)


@dataclass(frozen=True)
class Vectors:
    """Inputs of the head. The first two arrays are empty for a teacher that is no probe.

    Attributes:
        inputs: float32 (texts, size), of all training texts, then of the rows in ``unlabelled``.
        unlabelled: rows of unlabelled texts, ascending.
        unseen: float32 (training texts, classes), probabilities of probes that were not trained on the text; also for
            a teacher that is better than its probe. Empty without a probe.
    """

    inputs: np.ndarray
    unlabelled: np.ndarray
    unseen: np.ndarray = field(default_factory=_none)

    def save(self, folder: Path) -> None:
        """Write ``folder`` for :meth:`load`."""
        folder.mkdir()
        np.save(folder / INPUTS, self.inputs)
        np.save(folder / ROWS, self.unlabelled)
        np.save(folder / UNSEEN, self.unseen)

    @classmethod
    def load(cls, folder: Path) -> "Vectors":
        """Read the folder that :meth:`save` wrote, memory-mapped."""
        return cls(np.load(folder / INPUTS, mmap_mode="r"), np.load(folder / ROWS), np.load(folder / UNSEEN))

    def input_rows(self, train: int, altered: int, unlabelled: int) -> np.ndarray:
        """Return for each text of the transfer set its row in ``inputs``, int64; -1 for a text that was not encoded.

        Args:
            train: number of training texts, which come first.
            altered: number of altered copies, which come next.
            unlabelled: number of texts without a label, which come last.
        """
        rows = np.full(train + altered + unlabelled, -1, np.int64)
        if len(self.inputs):
            rows[:train] = np.arange(train)
            rows[train + altered + self.unlabelled] = train + np.arange(len(self.unlabelled))
        return rows


def no_vectors(unseen: np.ndarray | None = None) -> Vectors:
    """Return the empty vectors of a teacher that is no probe; ``unseen`` is of its probe, if one was fitted."""
    return Vectors(_none(), np.zeros(0, np.int64), _none() if unseen is None else unseen)
