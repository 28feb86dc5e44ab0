"""Co-training with few labels: soft labels of a simple model on unlabelled texts improve the complex model.

The simple model uses the words of a text, the complex one its meaning. So each corrects mistakes of the other
(A. Blum and T. Mitchell, "Combining Labeled and Unlabeled Data with Co-Training", COLT 1998). The soft labels of the
simple model also regularise the complex one, as in reversed distillation (Yuan 2020).
"""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from stillhouse.data.terms import analyser
from stillhouse.distillation.logistic import fit_soft, probabilities
from stillhouse.task import TASK

TERMS = 50_000  # most frequent terms (words, pairs of words); more took time without a gain
CONFIDENT = 0.8  # share of the simple model's soft labels that are used: the most confident


def bag_of_words(texts: Sequence[str]) -> csr_matrix | None:
    """Return TF-IDF weights (texts, terms) of words and pairs of words; None if no term is in two texts."""
    bag = TfidfVectorizer(token_pattern=None, sublinear_tf=True, analyzer=analyser(texts), min_df=2, max_features=TERMS)
    try:
        weights: csr_matrix = bag.fit_transform(texts)
    except ValueError:
        return None
    return weights


def cotrain(
    probe: LogisticRegression,
    words: csr_matrix,
    features: np.ndarray,
    labels: np.ndarray,
    rounds: int,
    evidence: np.ndarray | None = None,
) -> LogisticRegression:
    """Co-train ``probe`` with a bag of words.

    In each round a bag of words is fitted to the soft labels of the probe, then the probe to those of the bag of words.

    Args:
        probe: fitted on the labelled texts.
        words: the bag of words of the labelled texts, then of the unlabelled ones, ``(texts, terms)``.
        features: inputs of the probe, ``(texts, size)``.
        labels: class numbers of the labelled texts.
        rounds: number of rounds; with 0 the function returns ``probe``.
        evidence: of another labeller, ``(texts, classes)``: the soft labels are multiplied by it and normalised. A row
            of ones is no evidence.

    Returns:
        The new probe.
    """
    count = len(labels)
    classes = int(labels.max()) + 1 if evidence is None else evidence.shape[1]
    known = TASK.targets(labels, classes)
    for _ in range(rounds):
        of_probe = combined(probabilities(probe, features, classes), evidence)
        of_probe[:count] = known
        of_words = combined(probabilities(fit_soft(words, of_probe), words, classes), evidence)
        of_words[:count] = known
        confidence = TASK.confidence(of_words)
        confidence[:count] = 1.0
        used = confidence >= np.quantile(confidence[count:], 1 - CONFIDENT)
        probe = fit_soft(features[used], of_words[used])
    return probe


def combined(soft: np.ndarray, evidence: np.ndarray | None) -> np.ndarray:
    """Multiply soft labels by ``evidence``, both ``(texts, classes)``, and normalise each row."""
    if evidence is None:
        return soft
    product: np.ndarray = np.maximum(soft, 1e-6) * evidence
    product /= product.sum(1, keepdims=True)
    return product
