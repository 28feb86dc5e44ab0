"""A machine's answers as the stage ``label`` stores them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

SPLITS = ("train", "test", "unlabelled")


@dataclass(frozen=True)
class Answered:
    """Soft labels of some texts of a split.

    Attributes:
        rows: int64 (texts,), ascending, in the split.
        probabilities: float32 (texts, classes); each row adds up to 1.
    """

    rows: np.ndarray
    probabilities: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


def answered(rows: np.ndarray, probabilities: np.ndarray) -> Answered:
    """Return the texts that have an answer, in ascending order. A row of NaN in ``probabilities`` is no answer."""
    order = np.argsort(rows, kind="stable")
    rows, probabilities = rows[order], probabilities[order]
    usable = np.isfinite(probabilities).all(1)
    return Answered(rows[usable].astype(np.int64), probabilities[usable].astype(np.float32))


def not_answered(classes: int) -> Answered:
    """Return an empty result for so many classes."""
    return Answered(np.zeros(0, np.int64), np.zeros((0, classes), np.float32))


@dataclass(frozen=True)
class MachineLabels:
    """A machine's answers.

    Attributes:
        train: for texts whose label is known. They show how often the machine is right.
        test: for test texts. They are for the report alone.
        unlabelled: for texts without a label. The teacher learns from them.
    """

    train: Answered
    test: Answered
    unlabelled: Answered

    def save(self, folder: Path) -> None:
        """Write two arrays for each split. The same answers give the same bytes."""
        for split in SPLITS:
            part: Answered = getattr(self, split)
            np.save(folder / f"{split}-rows.npy", part.rows)
            np.save(folder / f"{split}-probabilities.npy", part.probabilities)


def no_machine_labels(classes: int) -> MachineLabels:
    """Return an empty result for so many classes."""
    return MachineLabels(*(not_answered(classes) for _ in SPLITS))


def read_machine_labels(folder: Path) -> MachineLabels:
    """Read what :meth:`MachineLabels.save` wrote."""
    return MachineLabels(
        *(
            Answered(np.load(folder / f"{split}-rows.npy"), np.load(folder / f"{split}-probabilities.npy"))
            for split in SPLITS
        )
    )
