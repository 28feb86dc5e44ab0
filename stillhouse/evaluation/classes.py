"""Counts of each class on the test set: recall, and the classes that a model never recognises."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from stillhouse.errors import listed
from stillhouse.task import TASK

NAMED = 8  # maximum of classes that a message names


@dataclass(frozen=True)
class ClassCounts:
    """Counts of one class.

    Attributes:
        name: of the class.
        training: labelled training texts.
        texts: test texts with this label.
        answered: test texts with this prediction.
        right: test texts with this label and this prediction.
    """

    name: str
    training: int
    texts: int
    answered: int
    right: int

    @property
    def recall(self) -> float:
        """Share of the class's test texts that are predicted correctly, 0 to 1; 0 if it has no test texts."""
        return self.right / max(self.texts, 1)

    @property
    def counts(self) -> str:
        """For a message: the name and the numbers of test texts and training texts."""
        return f"{self.name!r} ({_texts(self.texts, 'test')}, {_texts(self.training, 'training')})"


def count_classes(
    labels: np.ndarray, answers: np.ndarray, names: Sequence[str], training: Sequence[int] | np.ndarray
) -> list[ClassCounts]:
    """Count the test texts, predictions and correct predictions of each class.

    Args:
        labels: class numbers of the test texts, ``(texts,)``.
        answers: a model's predictions, ``(texts,)``.
        names: of all classes, by number.
        training: number of labelled training texts of each class. It may be shorter than ``names``: the other classes
            have none.
    """
    size = len(names)
    labelled, answered, right = TASK.class_counts(labels, answers, size)
    trained = np.zeros(size, int)
    trained[: len(training)] = training
    rows = zip(names, trained.tolist(), labelled.tolist(), answered.tolist(), right.tolist(), strict=True)
    return [ClassCounts(*row) for row in rows]


def read_classes(file: Path) -> list[ClassCounts]:
    """Read the compressed student's counts from ``classes.csv`` of the stage ``evaluate``."""
    with file.open(newline="", encoding="utf-8") as table:
        return [
            ClassCounts(row.pop("name"), **{key: int(value) for key, value in row.items()})
            for row in csv.DictReader(table)
        ]


def class_rows(classes: Iterable[ClassCounts]) -> list[dict[str, str | int]]:
    """The rows of ``classes.csv``."""
    return [asdict(row) for row in classes]


def class_numbers(classes: Sequence[ClassCounts]) -> dict[str, float]:
    """Metrics: the number of classes never recognised and without test texts, and the lowest and mean recall."""
    return {
        "never_recognised": float(sum(row.texts > 0 and row.right == 0 for row in classes)),
        "without_test_texts": float(sum(row.texts == 0 for row in classes)),
        "lowest_recall": min(row.recall for row in classes if row.texts),
        "mean_recall": mean_recall(classes),
    }


def mean_recall(classes: Iterable[ClassCounts]) -> float:
    """Mean recall of the classes that have test texts, 0 to 1 (also called balanced accuracy)."""
    return float(np.mean([row.recall for row in classes if row.texts]))


def class_warnings(classes: Sequence[ClassCounts]) -> list[str]:
    """Warnings: one for the classes of which no test text is recognised, one for the classes without test texts."""
    missed = [row.counts for row in classes if row.texts and not row.right]
    untested = [row.counts for row in classes if not row.texts]
    warnings = []
    if missed:
        warnings.append(f"never recognised on the test texts: {listed(missed, NAMED)}")
    if untested:
        warnings.append(f"not tested, for lack of test texts: {listed(untested, NAMED)}")
    return warnings


def _texts(count: int, kind: str) -> str:
    return f"{count:,} {kind} text{'' if count == 1 else 's'}"
