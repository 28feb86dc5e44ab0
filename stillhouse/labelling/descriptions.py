"""First labels without any human label: from the names and descriptions of the classes.

A text gets the class whose description is most similar to it, by the teacher's sentence encoder (W. Yin, J. Hay and
D. Roth, "Benchmarking Zero-shot Text Classification", EMNLP 2019, arXiv:1909.00161). Then one round of co-training
(A. Blum and T. Mitchell, COLT 1998) corrects these labels: two classifiers learn from the surest texts of each class,
one the words of a text, the other its vector. Their common answer is more often right than the similarity.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from stillhouse.data.terms import analyser
from stillhouse.distillation.cotraining import TERMS
from stillhouse.distillation.logistic import SOFT_ITERATIONS, SOFT_STRENGTH, fit, probabilities
from stillhouse.task import TASK

logger = logging.getLogger(__name__)

SUREST = 0.25  # share of the texts of each class, by similarity, that the two classifiers learn from
TRAINED = 0.75  # share of the texts of each class, by the corrected labels, that become training texts
ALIKE = 0.95  # cosine of two classes that texts can hardly tell apart
TEXTS = 5000  # most texts that are compared with the descriptions; more take time and gain little


@dataclass(frozen=True)
class FirstLabels:
    """Labels of texts, from the descriptions of the classes.

    Attributes:
        probabilities: float32 ``(texts, classes)``; each row adds up to 1.
        surest: int64 ``(rows,)``, ascending: the texts whose labels can be trained on.
        agreement: share of the texts whose class the correction did not change, 0 to 1.
    """

    probabilities: np.ndarray
    surest: np.ndarray
    agreement: float


def class_sentences(name: str, description: str | None) -> list[str]:
    """Return sentences on a class for the comparison with texts: with its name alone, or with its description.

    With a description there are two sentences, with the name and without. The name may be an abbreviation that means
    nothing to the encoder, or the word that the texts use.
    """
    words = " ".join(re.findall(r"[^\W_]+", name)) or name
    if description is None:
        return [f"This text is about {words}."]
    return [f"This text is about {words}: {description}.", f"This text is about {description}."]


def class_vectors(vectors: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the mean direction of the sentences of each class, ``(classes, size)``.

    Args:
        vectors: of the sentences, ``(sentences, size)``.
        classes: the class number of each sentence, ``(sentences,)``; each class has at least one.
    """
    unit = _unit(vectors)
    return np.stack([unit[classes == number].mean(axis=0) for number in range(int(classes.max()) + 1)])


def alike(classes: np.ndarray) -> list[tuple[int, int]]:
    """Return the pairs of classes whose vectors (classes, size) are nearly equal: cosine of at least 0.95."""
    unit = _unit(classes)
    pairs = np.argwhere(np.triu(unit @ unit.T >= ALIKE, k=1))
    return [(int(one), int(other)) for one, other in pairs]


def first_labels(texts: Sequence[str], vectors: np.ndarray, classes: np.ndarray) -> FirstLabels:
    """Label texts by their similarity to the classes, and correct the labels in one round of co-training.

    Args:
        texts: the texts.
        vectors: of the texts, ``(texts, size)``.
        classes: of the classes, ``(classes, size)``, from :func:`class_vectors`.
    """
    unit = _unit(vectors)
    similarity = unit @ _unit(classes).T
    found = TASK.decision(similarity)
    rows = surest(similarity, SUREST)
    if len(np.unique(found)) < 2:  # nothing can be learnt
        return FirstLabels(TASK.probabilities(similarity).astype(np.float32), rows, 1.0)
    bag = TfidfVectorizer(token_pattern=None, sublinear_tf=True, analyzer=analyser(texts), min_df=2, max_features=TERMS)
    answers = [_learn(unit, found, rows, len(classes))]
    try:
        answers.append(_learn(bag.fit_transform(texts), found, rows, len(classes)))
    except ValueError:  # no term is in two texts, so the bag of words has no features
        logger.warning("no word is in two texts: the labels rest on the teacher's vectors alone")
    soft = TASK.probabilities(np.mean([TASK.logits(answer) for answer in answers], axis=0))
    agreement = float(TASK.correct(found, TASK.decision(soft)).mean())
    return FirstLabels(soft.astype(np.float32), surest(soft, TRAINED), agreement)


def surest(scores: np.ndarray, share: float) -> np.ndarray:
    """Return the rows with the largest margin between the best two classes, ``share`` of the texts of each class.

    Args:
        scores: ``(texts, classes)``.
        share: 0 to 1. Each class that any text has gets at least one.
    """
    found = TASK.decision(scores)
    best = np.sort(scores, axis=1)[:, -2:]
    order = np.argsort(best[:, 0] - best[:, 1], kind="stable")  # the largest margin first
    chosen = []
    for number in np.unique(found):
        own = order[found[order] == number]
        chosen.append(own[: int(np.ceil(share * len(own)))])
    return np.sort(np.concatenate(chosen))


def _learn(features: "np.ndarray | object", labels: np.ndarray, rows: np.ndarray, classes: int) -> np.ndarray:
    """Learn the labels of ``rows``, each class with the same weight, and return the answers for all texts."""
    weights = 1 / np.bincount(labels[rows], minlength=classes)[labels[rows]]
    chosen = features[rows]  # type: ignore[index]
    model = fit(chosen, labels[rows], SOFT_STRENGTH, weights / weights.mean(), SOFT_ITERATIONS)
    return probabilities(model, features, classes)


def _unit(vectors: np.ndarray) -> np.ndarray:
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit
