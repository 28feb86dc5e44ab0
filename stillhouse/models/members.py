"""The teachers that label together: their names, weights and folders, and the weighted mean of their probabilities."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from stillhouse.task import TASK

FILE = "teachers.json"
ROWS = 20_000  # texts whose probabilities are in memory at once


@dataclass(frozen=True)
class Member:
    """One teacher.

    Attributes:
        number: 1 for the section ``teacher``, then 2, 3, ... for the entries of ``teacher.others``.
        name: ``teacher`` if it is the only one, else ``teacher 1``, ``teacher 2``, ...
        model: the last part of ``teacher.model``.
        weight: of its probabilities; those of all teachers add up to 1.
        max_length: word pieces read of each text.
    """

    number: int
    name: str
    model: str
    weight: float
    max_length: int

    def folder(self, first: Path, others: Path) -> Path:
        """Return its folder with ``model/`` and ``vectors/``.

        Args:
            first: the folder of the first teacher, the stage's output folder.
            others: the folder ``others`` in it, with one folder for each other teacher.
        """
        return first if self.number == 1 else others / str(self.number)


def members(models: Sequence[str], lengths: Sequence[int], weights: Sequence[float]) -> list[Member]:
    """Name the teachers; the three sequences have one value for each, the first teacher first."""
    rows = zip(models, weights, lengths, strict=True)
    return [
        Member(number, "teacher" if len(models) == 1 else f"teacher {number}", Path(model).name, float(weight), length)
        for number, (model, weight, length) in enumerate(rows, start=1)
    ]


def write_members(teachers: Sequence[Member], folder: Path) -> None:
    """Write ``teachers.json`` into ``folder``."""
    content = json.dumps([asdict(one) for one in teachers], indent=2)
    (folder / FILE).write_text(content + "\n", encoding="utf-8")


def read_members(folder: Path) -> list[Member]:
    """Read what :func:`write_members` wrote, the first teacher first."""
    return [Member(**one) for one in json.loads((folder / FILE).read_text(encoding="utf-8"))]


def mean_probabilities(probabilities: Iterable[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """Return the weighted mean, the linear opinion pool (M. Stone, 1961), of arrays ``(texts, classes)``."""
    parts = [weight * part for weight, part in zip(weights, probabilities, strict=True)]
    mean: np.ndarray = np.sum(parts, axis=0)
    mean /= mean.sum(1, keepdims=True)
    return mean


def pool_logits(logits: np.ndarray, others: Sequence[np.ndarray], weights: Sequence[float]) -> None:
    """Replace ``logits`` by those of the weighted mean of the teachers' probabilities, in place.

    Args:
        logits: of the first teacher, ``(texts, classes)``, in memory or memory-mapped.
        others: logits of the same shape, of the other teachers; without any, ``logits`` does not change.
        weights: of the first teacher and of the others.
    """
    for start in range(0, len(logits) if others else 0, ROWS):
        rows = slice(start, start + ROWS)
        parts = [TASK.probabilities(np.array(part[rows], np.float64)) for part in (logits, *others)]
        logits[rows] = TASK.logits(mean_probabilities(parts, weights))
