"""A model that is compared with others: texts in, class numbers or probabilities out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Predict = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True)
class Candidate:
    """``predict`` gives probabilities (texts, classes), or class numbers (texts,) where there are none."""

    name: str
    predict: Predict
    bytes: int


def weight_of(folder: Path) -> int:
    """Bytes of everything in ``folder`` that serving needs."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
