"""Logistic regression on labels and on soft answers, for the teacher's head and for what teaches it."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from stillhouse.task import TASK

ITERATIONS = 1000
SOFT_ITERATIONS = 60  # of many texts; more changed no accuracy
SOFT_STRENGTH = 10.0


def fit(
    features: np.ndarray,
    labels: np.ndarray,
    strength: float,
    weights: np.ndarray | None = None,
    iterations: int = ITERATIONS,
) -> LogisticRegression:
    """Logistic regression of class numbers ``labels`` (texts,), each text counting by its weight."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of the weakest; the cross-validation judges it
        return LogisticRegression(C=strength, max_iter=iterations).fit(features, labels, sample_weight=weights)


def fit_soft(features: "np.ndarray | object", answers: np.ndarray) -> LogisticRegression:
    """Logistic regression on soft answers ``(texts, classes)``, as weighted hard labels."""
    rows, labels, weights = TASK.weighted_labels(answers)
    chosen = features[rows]  # type: ignore[index]
    return fit(chosen, labels, SOFT_STRENGTH, weights, SOFT_ITERATIONS)


def probabilities(model: LogisticRegression, features: "np.ndarray | object", classes: int) -> np.ndarray:
    """What ``model`` answers, ``(texts, classes)``, 0 for a class that it never saw."""
    given = model.predict_proba(features)
    result = np.zeros((len(given), classes))
    result[:, model.classes_] = given
    return result
