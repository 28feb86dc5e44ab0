"""Logistic regression on hard and soft labels, for the teacher's head and for co-training."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from stillhouse.task import TASK

ITERATIONS = 1000
SOFT_ITERATIONS = 60  # more did not change the accuracy
SOFT_STRENGTH = 10.0


def fit(
    features: np.ndarray,
    labels: np.ndarray,
    strength: float,
    weights: np.ndarray | None = None,
    iterations: int = ITERATIONS,
) -> LogisticRegression:
    """Fit class numbers ``labels`` (texts,), with one weight for each text."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ConvergenceWarning
        )  # weak regularisation converges slowly; cross-validation compares the results
        return LogisticRegression(C=strength, max_iter=iterations).fit(features, labels, sample_weight=weights)


def fit_soft(features: "np.ndarray | object", soft: np.ndarray) -> LogisticRegression:
    """Fit soft labels ``(texts, classes)``, as weighted hard labels."""
    rows, labels, weights = TASK.weighted_labels(soft)
    chosen = features[rows]  # type: ignore[index]
    return fit(chosen, labels, SOFT_STRENGTH, weights, SOFT_ITERATIONS)


def probabilities(model: LogisticRegression, features: "np.ndarray | object", classes: int) -> np.ndarray:
    """Return the probabilities of ``model``, ``(texts, classes)``; 0 for a class without training texts."""
    known = model.predict_proba(features)
    result = np.zeros((len(known), classes))
    result[:, model.classes_] = known
    return result
