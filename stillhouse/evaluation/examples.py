"""Example predictions of the student for the report."""

from typing import Any

import numpy as np

from stillhouse.task import TASK

SHOWN_CHARACTERS = 160


def select_examples(
    texts: list[str], labels: np.ndarray, scores: dict[str, np.ndarray], names: list[str], count: int
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
    wrong = [int(i) for i in order[::-1] if not right[i]][: count // 2]
    unsure = [int(i) for i in order if int(i) not in wrong][: count - len(wrong)]
    label, of_teacher, of_student = (TASK.decode(rows, names) for rows in (labels, teacher, answers))
    return [
        {
            "text": _short(texts[i]),
            "label": label[i],
            "teacher": of_teacher[i],
            "student": of_student[i],
            "probability": float(confidence[i]),
        }
        for i in wrong + unsure
    ]


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS].rsplit(" ", 1)[0] + " …"
