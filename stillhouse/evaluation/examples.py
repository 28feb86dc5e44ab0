"""Example predictions of the student for the report."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from stillhouse.task import TASK

SHOWN_CHARACTERS = 160


def select_examples(
    texts: Sequence[str], labels: np.ndarray, scores: dict[str, np.ndarray], names: list[str], count: int
) -> list[dict[str, Any]]:
    """Select the compressed student's most confident mistakes (at most half), then its least confident predictions.

    Args:
        texts: the test texts.
        labels: their class numbers, ``(texts,)``.
        scores: probabilities ``(texts, classes)`` of ``teacher`` and ``compressed student``.
        names: of the classes, by number.
        count: how many examples.

    Returns:
        For each example its ``text`` (shortened), ``label``, the predictions of ``teacher`` and ``student``, and the
        student's ``probability``.
    """
    student, teacher = scores["compressed student"], TASK.decision(scores["teacher"])
    answers, confidence = TASK.decision(student), TASK.confidence(student)
    right, order = TASK.correct(labels, answers), np.argsort(confidence, kind="stable")
    wrong = order[::-1][~right[order[::-1]]][: count // 2]
    first = order[:count]  # at most len(wrong) of them are wrong ones
    unsure = first[~np.isin(first, wrong)][: count - len(wrong)]
    chosen = np.concatenate([wrong, unsure])
    decoded = [TASK.decode(rows[chosen], names) for rows in (labels, teacher, answers)]
    return [
        {
            "text": _short(texts[int(i)]),
            "label": label,
            "teacher": of_teacher,
            "student": of_student,
            "probability": float(confidence[i]),
        }
        for i, label, of_teacher, of_student in zip(chosen, *decoded, strict=True)
    ]


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS].rsplit(" ", 1)[0] + " …"
