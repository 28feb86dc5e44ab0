"""Quality metrics of the models on the test set."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from stillhouse.evaluation.display import Metric, number, percent
from stillhouse.evaluation.significance import Gap, bootstrap_interval, paired
from stillhouse.task import TASK


@dataclass(frozen=True, kw_only=True)
class Quality:
    """A model's metrics on the test set; all but ``megabytes`` are from 0 to 1.

    ``calibration_error`` is None for a model without probabilities. With ``of_teacher`` no test text has a label: the
    teacher's decisions take the place of the labels, and ``accuracy`` is the agreement with the teacher. To add a
    metric, add a field with its title, format and direction, and compute its value in :func:`quality`.
    """

    accuracy: Annotated[float, Metric("accuracy", percent, higher_is_better=True, brief=True, evidence=True)]
    accuracy_low: float
    accuracy_high: float
    macro_f1: Annotated[float, Metric("macro-F1", percent, higher_is_better=True, brief=True, evidence=True)]
    teacher_agreement: Annotated[float, Metric("agrees with teacher", percent, higher_is_better=True, evidence=True)]
    megabytes: Annotated[float, Metric("size MB", number, higher_is_better=False, brief=True, cost=True)]
    calibration_error: Annotated[float | None, Metric("calibration error", percent, higher_is_better=False)] = None
    of_teacher: bool = False


def quality(
    labels: np.ndarray,
    scores: dict[str, np.ndarray],
    sizes: dict[str, int],
    resamples: int,
    seed: int,
    of_teacher: bool = False,
) -> dict[str, Quality]:
    """Compute the metrics of each model.

    Args:
        labels: of the texts, ``(texts,)``.
        scores: each model's probabilities, floating-point ``(texts, classes)``, or its decisions, integers
            ``(texts,)``; one model is named ``teacher``.
        sizes: bytes of each model.
        resamples: of the bootstrap.
        seed: of the bootstrap.
        of_teacher: whether ``labels`` are the teacher's decisions.
    """
    answers = {name: answers_of(score) for name, score in scores.items()}
    result: dict[str, Quality] = {}
    for name, given in answers.items():
        low, high = bootstrap_interval(TASK.correct(labels, given).astype(np.int8), resamples, seed)
        result[name] = Quality(
            accuracy=TASK.accuracy(labels, given),
            accuracy_low=low,
            accuracy_high=high,
            macro_f1=TASK.macro_f1(labels, given),
            teacher_agreement=TASK.agreement(answers["teacher"], given),
            megabytes=sizes[name] / 1e6,
            calibration_error=TASK.calibration_error(labels, scores[name])
            if _are_scores(scores[name]) and not of_teacher
            else None,
            of_teacher=of_teacher,
        )
    return result


def differences(
    labels: np.ndarray, scores: dict[str, np.ndarray], pairs: list[tuple[str, str]], resamples: int, seed: int
) -> dict[str, Gap]:
    """For each pair of models the accuracy of the first minus that of the second, by ``<first> - <second>``.

    The other arguments are those of :func:`quality`.
    """
    right = {name: TASK.correct(labels, answers_of(score)).astype(np.int8) for name, score in scores.items()}
    return {f"{one} - {other}": paired(right[one], right[other], resamples, seed) for one, other in pairs}


def retention(student: Quality, teacher: Quality) -> float:
    """The student's share of the teacher's accuracy; above 1 if the student is better."""
    return student.accuracy / max(teacher.accuracy, 1e-9)


def answers_of(scores: np.ndarray) -> np.ndarray:
    """Decisions, int32 ``(texts,)``, from probabilities or decisions."""
    return (TASK.decision(scores) if _are_scores(scores) else scores).astype(np.int32, copy=False)


def _are_scores(scores: np.ndarray) -> bool:
    """Whether ``scores`` are probabilities (floating-point numbers) and not decisions (integers)."""
    return bool(np.issubdtype(scores.dtype, np.floating))
