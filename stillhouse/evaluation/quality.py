"""Each model's predictions on the test set, as numbers."""

from typing import Any

import numpy as np

from stillhouse.evaluation.metrics import accuracy, agreement, calibration_error, macro_f1
from stillhouse.evaluation.significance import bootstrap_interval, paired


def quality(
    labels: np.ndarray, scores: dict[str, np.ndarray], sizes: dict[str, int], resamples: int, seed: int
) -> dict[str, dict[str, Any]]:
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
    result: dict[str, dict[str, Any]] = {}
    for name, given in answers.items():
        low, high = bootstrap_interval((given == labels).astype(float), resamples, seed)
        result[name] = {
            "accuracy": accuracy(labels, given),
            "accuracy_low": low,
            "accuracy_high": high,
            "macro_f1": macro_f1(labels, given),
            "teacher_agreement": agreement(answers["teacher"], given),
            "megabytes": sizes[name] / 1e6,
        }
        if scores[name].ndim == 2:
            result[name]["calibration_error"] = calibration_error(labels, scores[name])
    return result


def differences(
    labels: np.ndarray, scores: dict[str, np.ndarray], pairs: list[tuple[str, str]], resamples: int, seed: int
) -> dict[str, dict[str, float]]:
    """Accuracy of the first minus that of the second of each pair, with its paired 95 % interval."""
    right = {name: (answers_of(score) == labels).astype(float) for name, score in scores.items()}
    return {f"{one} - {other}": paired(right[one], right[other], resamples, seed) for one, other in pairs}


def answers_of(scores: np.ndarray) -> np.ndarray:
    """Class numbers from probabilities, or the class numbers themselves."""
    return scores.argmax(1) if scores.ndim == 2 else scores
