"""Which texts to label next: by a machine, or by a person."""

import numpy as np
from sklearn.cluster import MiniBatchKMeans

from stillhouse.choices import Choice

POOL = 10  # uncertain texts for each text that is chosen among them


def choose(how: Choice, count: int, probabilities: np.ndarray, features: np.ndarray, seed: int) -> np.ndarray:
    """Return positions of at most ``count`` texts, in the order in which they are labelled.

    Args:
        how: ``random``; ``uncertain``: those with the smallest margin between the two most probable classes
            (T. Scheffer, C. Decomain and S. Wrobel, "Active Hidden Markov Models for Information Extraction", IDA
            2001); ``diverse``: the nearest to the centres of as many clusters; ``uncertain_diverse``: ``diverse``
            among ten times as many uncertain texts (F. Zhdanov, "Diverse mini-batch Active Learning", 2019,
            arXiv:1901.05954).
        count: number of texts to label.
        probabilities: of a model (texts, classes), for ``uncertain`` and ``uncertain_diverse``.
        features: vectors of the texts (texts, size), for ``diverse`` and ``uncertain_diverse``.
        seed: of the random choice and of the clusters.
    """
    texts = len(features)
    shuffled = np.random.default_rng(seed).permutation(texts)
    if how == "random" or texts <= count:
        return shuffled[:count]
    if how == "uncertain":
        return shuffled[np.argsort(margins(probabilities[shuffled]), kind="stable")[:count]]
    if how == "uncertain_diverse":
        pool = np.sort(choose("uncertain", POOL * count, probabilities, features, seed))
        spread: np.ndarray = pool[choose("diverse", count, probabilities[pool], features[pool], seed)]
        return spread
    clusters = MiniBatchKMeans(count, random_state=seed, n_init=1).fit(features)
    distances = clusters.transform(features)
    nearest = np.unique(distances.argmin(0))
    others = shuffled[~np.isin(shuffled, nearest)]
    chosen: np.ndarray = np.concatenate([nearest, others])[:count]
    return chosen


def margins(probabilities: np.ndarray) -> np.ndarray:
    """Return the probability of the most probable class minus that of the next (texts,), from (texts, classes)."""
    highest = np.sort(probabilities, axis=1)[:, -2:]
    margin: np.ndarray = highest[:, 1] - highest[:, 0]
    return margin


def balanced(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return positions of at most ``count`` labelled texts, as many of each class as there are."""
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    turn = np.empty(len(labels), np.int64)
    for number in np.unique(labels):
        own = shuffled[labels[shuffled] == number]
        turn[own] = np.arange(len(own))
    return np.sort(shuffled[np.argsort(turn[shuffled], kind="stable")][:count])
