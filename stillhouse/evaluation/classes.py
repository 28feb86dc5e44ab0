"""How each class fares on the test set: the counts behind recall, and which classes a model never recognises."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from stillhouse.errors import listed
from stillhouse.task import TASK

NAMED = 8  # classes in one sentence


@dataclass(frozen=True)
class Class:
    """One class: labelled ``training`` texts, test ``texts``, how often it was ``answered``, and ``right`` of these."""

    name: str
    training: int
    texts: int
    answered: int
    right: int

    @property
    def recall(self) -> float:
        """Share of its test texts that are answered with it, 0 to 1; 0 where it has none."""
        return self.right / max(self.texts, 1)

    @property
    def counts(self) -> str:
        """For a message: its name, test texts and training texts."""
        return f"{self.name!r} ({_texts(self.texts, 'test')}, {_texts(self.training, 'training')})"


def count_classes(
    labels: np.ndarray, answers: np.ndarray, names: Sequence[str], training: Sequence[int] | np.ndarray
) -> list[Class]:
    """Count the test texts, answers and correct answers of each class.

    Args:
        labels: class numbers of the test texts, ``(texts,)``.
        answers: what a model answers, ``(texts,)``.
        names: of all classes, by number.
        training: labelled training texts of each class; those that it does not reach have none.
    """
    size = len(names)
    given, answered, right = TASK.class_counts(labels, answers, size)
    learnt = np.zeros(size, int)
    learnt[: len(training)] = training
    rows = zip(names, learnt.tolist(), given.tolist(), answered.tolist(), right.tolist(), strict=True)
    return [Class(*row) for row in rows]


def read_classes(file: Path) -> list[Class]:
    """The counts of the compressed student, as the stage ``evaluate`` wrote them."""
    with file.open(newline="", encoding="utf-8") as table:
        return [
            Class(row.pop("name"), **{key: int(value) for key, value in row.items()}) for row in csv.DictReader(table)
        ]


def class_rows(classes: Iterable[Class]) -> list[dict[str, str | int]]:
    """The rows of ``classes.csv``."""
    return [asdict(one) for one in classes]


def class_numbers(classes: Sequence[Class]) -> dict[str, float]:
    """What is tracked: how many classes are never recognised or have no test texts, lowest and mean recall."""
    return {
        "never_recognised": float(sum(one.texts > 0 and one.right == 0 for one in classes)),
        "without_test_texts": float(sum(one.texts == 0 for one in classes)),
        "lowest_recall": min(one.recall for one in classes if one.texts),
        "mean_recall": mean_recall(classes),
    }


def mean_recall(classes: Iterable[Class]) -> float:
    """Mean recall of the classes that have test texts, 0 to 1 (also called balanced accuracy)."""
    return float(np.mean([one.recall for one in classes if one.texts]))


def class_warnings(classes: Sequence[Class]) -> list[str]:
    """One sentence for the classes of which no test text is recognised, one for those without test texts."""
    missed = [one.counts for one in classes if one.texts and not one.right]
    untested = [one.counts for one in classes if not one.texts]
    found = []
    if missed:
        found.append(f"never recognised on the test texts: {listed(missed, NAMED)}")
    if untested:
        found.append(f"not tested, for lack of test texts: {listed(untested, NAMED)}")
    return found


def _texts(count: int, kind: str) -> str:
    return f"{count:,} {kind} text{'' if count == 1 else 's'}"
