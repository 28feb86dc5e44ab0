"""A simple model beside the teacher: a bag of words, taught by the teacher's answers.

The two see a text differently, one its words, the other its meaning, so that each makes mistakes of its own.
"""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import KFold

from stillhouse.distillation.logistic import fit_soft, probabilities
from stillhouse.evaluation.metrics import softmax

WORDS = 50_000  # words and pairs of them, the most frequent: more cost time and gave nothing
LEARNT = 20_000  # texts at most that each answer is learnt from
LEAST = 1e-6  # probability that is told apart from none


def bag_of_words(texts: Sequence[str]) -> csr_matrix:
    """Each text's words and pairs of words by their TF-IDF, ``(texts, words)``.

    Raises:
        ValueError: no word is in two texts.
    """
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2, max_features=WORDS)
    return words.fit_transform(texts)


def out_of_fold(words: csr_matrix, taught: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """What a logistic regression on ``words`` answers to each text when it learnt ``taught`` from the others.

    A text's own mistaken answer is so outvoted by those to texts with the same words, instead of learnt by heart.

    Args:
        words: ``(texts, words)``.
        taught: soft answers ``(texts, classes)``, each row a distribution.
        folds: how many parts the texts are dealt into.
        seed: of the dealing.
    """
    answers, chance = np.zeros_like(taught), np.random.default_rng(seed)
    for learnt, asked in KFold(min(folds, len(taught)), shuffle=True, random_state=seed).split(taught):
        learnt = chance.permutation(learnt)[:LEARNT]
        answers[asked] = probabilities(fit_soft(words[learnt], taught[learnt]), words[asked], taught.shape[1])
    return answers


def second_opinion(texts: Sequence[str], labels: np.ndarray, logits: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """The teacher's answers to texts without a label, averaged with those of a bag of words that it taught.

    Args:
        texts: the labelled ones, and after them those without.
        labels: class numbers of the former.
        logits: the teacher's, ``(texts, classes)``.
        folds: see :func:`out_of_fold`.
        seed: the same.

    Returns:
        Logits of the normalised geometric mean of both, float32, of the texts without a label; the teacher's own
        where the texts have no words in common.
    """
    taught, count = softmax(logits.astype(np.float64)), len(labels)
    taught[:count] = np.eye(logits.shape[1])[labels]
    try:
        words = bag_of_words(texts)
    except ValueError:
        return logits[count:]
    both = taught[count:], out_of_fold(words, taught, folds, seed)[count:]
    mean: np.ndarray = sum(np.log(np.maximum(one, LEAST)) for one in both) / 2
    return mean.astype(np.float32)
