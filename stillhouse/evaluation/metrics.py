"""Quality of predictions, from class numbers and probabilities."""

import numpy as np


def accuracy(labels: np.ndarray, answers: np.ndarray) -> float:
    """Share of right answers, 0 to 1; both of shape ``(texts,)``."""
    return float((np.asarray(labels) == np.asarray(answers)).mean())


def macro_f1(labels: np.ndarray, answers: np.ndarray) -> float:
    """Mean over the classes of ``labels`` of the harmonic mean of precision and recall, 0 to 1."""
    scores = []
    for name in np.unique(labels):
        right = int(((labels == name) & (answers == name)).sum())
        asked, given = int((labels == name).sum()), int((answers == name).sum())
        scores.append(2 * right / (asked + given))
    return float(np.mean(scores))


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    """Share of texts on which two models answer the same, 0 to 1 (fidelity: Stanton et al. 2021)."""
    return float((np.asarray(one) == np.asarray(other)).mean())


def calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error, 0 to 1: how far confidence is from accuracy.

    C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, with equal-width bins.

    Args:
        labels: class numbers, ``(texts,)``.
        probabilities: ``(texts, classes)``, rows summing to 1.
        bins: how many.
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(right[index == b].mean() - confidence[index == b].mean()) * (index == b).mean() for b in np.unique(index)
    ]
    return float(np.sum(gaps))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of the same shape as ``logits``, over the last axis."""
    shifted: np.ndarray = np.exp(logits - logits.max(-1, keepdims=True))
    shifted /= shifted.sum(-1, keepdims=True)
    return shifted
