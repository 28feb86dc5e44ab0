"""A model in a comparison: texts in, class numbers or probabilities out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Predict = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True)
class Candidate:
    """A model in a comparison.

    Attributes:
        name: in the results.
        predict: returns probabilities ``(texts, classes)``, or class numbers ``(texts,)`` if the model has none.
        bytes: size of the model.
        known: what ``predict`` returns for the test texts, if an earlier stage computed it.
    """

    name: str
    predict: Predict
    bytes: int
    known: np.ndarray | None = None


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below ``folder``."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
