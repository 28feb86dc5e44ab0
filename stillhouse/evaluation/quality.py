"""Each model's predictions on the test set, as numbers."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from stillhouse.evaluation.display import Metric, number, percent
from stillhouse.evaluation.metrics import accuracy, agreement, calibration_error, macro_f1
from stillhouse.evaluation.significance import Gap, bootstrap_interval, paired


@dataclass(frozen=True, kw_only=True)
class Quality:
    """A model on the test set; all but ``megabytes`` from 0 to 1. No calibration where there are no probabilities.

    A new metric: a field here with its title, format and direction, and its value in :func:`quality`.
    """

    accuracy: Annotated[float, Metric("accuracy", percent, higher_is_better=True, brief=True, evidence=True)]
    accuracy_low: float
    accuracy_high: float
    macro_f1: Annotated[float, Metric("macro-F1", percent, higher_is_better=True, brief=True, evidence=True)]
    teacher_agreement: Annotated[float, Metric("agrees with teacher", percent, higher_is_better=True, evidence=True)]
    megabytes: Annotated[float, Metric("size MB", number, higher_is_better=False, brief=True, cost=True)]
    calibration_error: Annotated[float | None, Metric("calibration error", percent, higher_is_better=False)] = None


def quality(
    labels: np.ndarray, scores: dict[str, np.ndarray], sizes: dict[str, int], resamples: int, seed: int
) -> dict[str, Quality]:
    """Accuracy with its 95 % interval, macro-F1, agreement with the teacher, calibration and size of each model.

    Args:
        labels: class numbers, ``(texts,)``.
        scores: for each model probabilities ``(texts, classes)`` or class numbers ``(texts,)``; one is named
            ``teacher``.
        sizes: bytes of each model.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    answers = {name: answers_of(score) for name, score in scores.items()}
    result: dict[str, Quality] = {}
    for name, given in answers.items():
        low, high = bootstrap_interval((given == labels).astype(float), resamples, seed)
        result[name] = Quality(
            accuracy=accuracy(labels, given),
            accuracy_low=low,
            accuracy_high=high,
            macro_f1=macro_f1(labels, given),
            teacher_agreement=agreement(answers["teacher"], given),
            megabytes=sizes[name] / 1e6,
            calibration_error=calibration_error(labels, scores[name]) if scores[name].ndim == 2 else None,
        )
    return result


def differences(
    labels: np.ndarray, scores: dict[str, np.ndarray], pairs: list[tuple[str, str]], resamples: int, seed: int
) -> dict[str, Gap]:
    """Accuracy of the first minus that of the second of each pair, with its interval and its exact test."""
    right = {name: (answers_of(score) == labels).astype(float) for name, score in scores.items()}
    return {f"{one} - {other}": paired(right[one], right[other], resamples, seed) for one, other in pairs}


def answers_of(scores: np.ndarray) -> np.ndarray:
    """Class numbers from probabilities, or the class numbers themselves."""
    return scores.argmax(1) if scores.ndim == 2 else scores
