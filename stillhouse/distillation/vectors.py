"""What the head of a linear probe reads of each text, from the stage ``teacher`` to the stage ``soft_labels``.

The encoder of a probe does not change, so no text has to be encoded a second time.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

INPUTS, ROWS = "inputs.npy", "unlabelled_rows.npy"


@dataclass(frozen=True)
class Vectors:
    """``inputs`` float32 (texts, size): of all training texts, then of the ``unlabelled`` rows (ascending).

    Both are empty for a fine-tuned teacher.
    """

    inputs: np.ndarray
    unlabelled: np.ndarray

    def save(self, folder: Path) -> None:
        """Write ``folder``, as :meth:`load` reads it."""
        folder.mkdir()
        np.save(folder / INPUTS, self.inputs)
        np.save(folder / ROWS, self.unlabelled)

    @classmethod
    def load(cls, folder: Path) -> "Vectors":
        """What :meth:`save` wrote, memory-mapped."""
        return cls(np.load(folder / INPUTS, mmap_mode="r"), np.load(folder / ROWS))

    def places(self, train: int, altered: int, unlabelled: int) -> np.ndarray:
        """For each text of the transfer set the row of ``inputs``, int64; -1 for a text that was not encoded.

        Args:
            train: training texts, which come first.
            altered: altered copies of these, which come next.
            unlabelled: texts without a label, which come last.
        """
        places = np.full(train + altered + unlabelled, -1, np.int64)
        if len(self.inputs):
            places[:train] = np.arange(train)
            places[train + altered + self.unlabelled] = train + np.arange(len(self.unlabelled))
        return places


def no_vectors() -> Vectors:
    """Those of a fine-tuned teacher."""
    return Vectors(np.zeros((0, 0), np.float32), np.zeros(0, np.int64))
