"""Weights of several teachers, from predictions for labelled texts that no teacher was trained on."""

from collections.abc import Sequence

import numpy as np

from stillhouse.task import TASK

STEPS = 1000
CHANGE = 1e-6  # of a weight; the search stops below it
DIGITS = 3  # a smaller weight is 0, and its teacher is not used


def choose_weights(probabilities: Sequence[np.ndarray], labels: np.ndarray) -> list[float]:
    """Return the weights with the lowest log loss of the weighted mean of the probabilities; they add up to 1.

    The log loss is convex in the weights. Expectation-maximisation finds the minimum (A. Dempster, N. Laird and
    D. Rubin, 1977): the mixture weights of fixed components.

    Args:
        probabilities: of each teacher, ``(texts, classes)``, for texts that it was not trained on.
        labels: class numbers of the texts, ``(texts,)``; without any, the weights are equal.
    """
    weights = np.full(len(probabilities), 1 / len(probabilities))
    if not len(labels):
        return list(weights)
    likelihoods = np.stack([np.exp(-TASK.log_losses(part, labels)) for part in probabilities])
    for _ in range(STEPS):
        shares = weights[:, None] * likelihoods
        new = (shares / shares.sum(0)).mean(1)
        done, weights = np.abs(new - weights).max() < CHANGE, new
        if done:
            break
    rounded = np.round(weights, DIGITS)
    return [float(weight) for weight in rounded / rounded.sum()]
