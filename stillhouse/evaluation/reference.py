"""What the models are compared with on the test set: its labels, or the teacher's decisions if no text has a label.

Agreement with the teacher is no accuracy: a teacher that is wrong makes a student that agrees with it wrong, too. So no
number, heading or message that uses the teacher's decisions is named accuracy.
"""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stillhouse.task import TASK

if TYPE_CHECKING:  # datasets takes more than a second to load, and flows import this module
    from datasets import Dataset

ACCURACY, AGREEMENT = "accuracy", "agreement with the teacher"
NOTE = (
    "no test text has a label, so the accuracy is unknown: all numbers are agreement with the teacher. Give labelled "
    "test texts (a file test.* with data.label_column) to measure the accuracy"
)


def reference(test: "Dataset", teacher: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the class numbers that the models are compared with, ``(texts,)``, and whether they are the teacher's.

    Args:
        test: the test split.
        teacher: the teacher's decisions, class numbers ``(texts,)``.
    """
    from stillhouse.data.splits import labels_of

    labels = labels_of(test)
    return (teacher, True) if TASK.unlabelled(labels).all() else (labels, False)


def teacher_answers(answers: Path, test: "Dataset") -> np.ndarray:
    """Read the teacher's decisions from ``answers.csv`` of the stage ``evaluate``; class numbers ``(texts,)``."""
    return model_answers(answers, "teacher", test)


def model_answers(answers: Path, model: str, test: "Dataset") -> np.ndarray:
    """Read a model's decisions from ``answers.csv`` of the stage ``evaluate``; class numbers ``(texts,)``."""
    from stillhouse.data.splits import label_names

    with answers.open(newline="", encoding="utf-8") as file:
        return TASK.encode((row[model] for row in csv.DictReader(file)), label_names(test))


def measured(of_teacher: bool) -> str:
    """Return the name of the share of texts on which a model decides as the reference."""
    return AGREEMENT if of_teacher else ACCURACY
