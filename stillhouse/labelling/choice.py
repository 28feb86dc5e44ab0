"""Which texts a machine labels first."""

from typing import Literal

import numpy as np
from sklearn.cluster import MiniBatchKMeans

from stillhouse.task import TASK


def choose(
    how: Literal["random", "uncertain", "diverse"],
    count: int,
    probabilities: np.ndarray,
    features: np.ndarray,
    seed: int,
) -> np.ndarray:
    """Return positions of at most ``count`` texts, in the order in which they are labelled.

    Args:
        how: ``random``; ``uncertain``: those of which the probe is least sure (D. Lewis and W. Gale, "A Sequential
            Algorithm for Training Text Classifiers", SIGIR 1994); ``diverse``: the nearest to the centres of as many
            clusters.
        count: number of texts to label.
        probabilities: of the probe (texts, classes), for ``uncertain``.
        features: inputs of the probe (texts, size), for ``diverse``.
        seed: of the random choice and of the clusters.
    """
    texts = len(features)
    shuffled = np.random.default_rng(seed).permutation(texts)
    if how == "random" or texts <= count:
        return shuffled[:count]
    if how == "uncertain":
        return shuffled[np.argsort(TASK.confidence(probabilities[shuffled]), kind="stable")[:count]]
    clusters = MiniBatchKMeans(count, random_state=seed, n_init=1).fit(features)
    distances = clusters.transform(features)
    nearest = np.unique(distances.argmin(0))
    others = shuffled[~np.isin(shuffled, nearest)]
    chosen: np.ndarray = np.concatenate([nearest, others])[:count]
    return chosen


def balanced(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return positions of at most ``count`` labelled texts, as many of each class as there are."""
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    turn = np.empty(len(labels), np.int64)
    for number in np.unique(labels):
        own = shuffled[labels[shuffled] == number]
        turn[own] = np.arange(len(own))
    return np.sort(shuffled[np.argsort(turn[shuffled], kind="stable")][:count])
