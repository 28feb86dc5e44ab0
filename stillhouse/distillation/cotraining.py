"""Co-training with few labels: soft labels of a simple model on unlabelled texts improve the complex model.

The simple model uses the words of a text, the complex one its meaning. So each corrects mistakes of the other
(A. Blum and T. Mitchell, "Combining Labeled and Unlabeled Data with Co-Training", COLT 1998). The soft labels of the
simple model also regularise the complex one, as in reversed distillation (Yuan 2020).
"""

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from stillhouse.data.terms import analyser
from stillhouse.distillation.logistic import fit_soft, probabilities
from stillhouse.task import TASK

TERMS = 50_000  # most frequent terms (words, pairs of words); more took time without a gain
CONFIDENT = 0.8  # share of the simple model's soft labels that are used: the most confident


def cotrain(
    probe: LogisticRegression,
    texts: Sequence[str],
    features: np.ndarray,
    labels: np.ndarray,
    rounds: int,
) -> LogisticRegression:
    """Co-train ``probe`` with a bag of words.

    In each round a bag of words is fitted to the soft labels of the probe, then the probe to those of the bag of words.

    Args:
        probe: fitted on the labelled texts.
        texts: the labelled texts, then the unlabelled ones.
        features: inputs of the probe, ``(texts, size)``.
        labels: class numbers of the labelled texts.
        rounds: number of rounds; with 0 the function returns ``probe``.

    Returns:
        The new probe.
    """
    classes, count = int(labels.max()) + 1, len(labels)
    known = TASK.targets(labels, classes)
    if not rounds:
        return probe
    bag = TfidfVectorizer(token_pattern=None, sublinear_tf=True, analyzer=analyser(texts), min_df=2, max_features=TERMS)
    try:
        words = bag.fit_transform(texts)
    except ValueError:  # no term is in two texts, so the bag of words has no features
        return probe
    for _ in range(rounds):
        of_probe = probabilities(probe, features, classes)
        of_probe[:count] = known
        of_words = probabilities(fit_soft(words, of_probe), words, classes)
        of_words[:count] = known
        confidence = TASK.confidence(of_words)
        confidence[:count] = 1.0
        used = confidence >= np.quantile(confidence[count:], 1 - CONFIDENT)
        probe = fit_soft(features[used], of_words[used])
    return probe
