"""A machine's labels as the stage ``label`` stores them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROWS, PROBABILITIES = "rows.npy", "probabilities.npy"


@dataclass(frozen=True)
class MachineLabels:
    """Soft labels of some texts without a label.

    Attributes:
        rows: int64 (texts,), ascending, in the split ``unlabelled``.
        probabilities: float32 (texts, classes); each row adds up to 1.
    """

    rows: np.ndarray
    probabilities: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def save(self, folder: Path) -> None:
        """Write ``rows.npy`` and ``probabilities.npy``. The same labels give the same bytes."""
        np.save(folder / ROWS, self.rows.astype(np.int64))
        np.save(folder / PROBABILITIES, self.probabilities.astype(np.float32))


def no_labels(classes: int) -> MachineLabels:
    """Return an empty result for so many classes."""
    return MachineLabels(np.zeros(0, np.int64), np.zeros((0, classes), np.float32))


def read_machine_labels(folder: Path) -> MachineLabels:
    """Read what :meth:`MachineLabels.save` wrote."""
    return MachineLabels(np.load(folder / ROWS), np.load(folder / PROBABILITIES))
