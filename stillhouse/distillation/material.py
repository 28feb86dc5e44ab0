"""What a probe is co-trained on, and its cross-validation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

from stillhouse.distillation.cotraining import bag_of_words, combined, cotrain
from stillhouse.distillation.logistic import fit_soft, probabilities
from stillhouse.distillation.probe import FOLDS, fit_probe
from stillhouse.task import TASK

UNLABELLED = 5000  # most unlabelled texts for co-training
FOLD_TEXTS, FOLD_ROUNDS = 1500, 2  # the same in cross-validation
NONE = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Material:
    """What a probe is co-trained on: labelled texts first, then texts without a label.

    Attributes:
        features: inputs of the probe, float32 (texts, size).
        words: their bag of words, (texts, terms).
        labels: class numbers of the labelled texts.
        classes: number of classes.
        rounds: of co-training.
        seed: of the folds.
    """

    features: np.ndarray
    words: csr_matrix | None
    labels: np.ndarray
    classes: int
    rounds: int
    seed: int

    def probe(self, evidence: np.ndarray | None = None) -> LogisticRegression:
        """Fit a probe on the labelled texts and the evidence (texts, classes), and co-train it."""
        count = len(self.labels)
        probe, _ = fit_probe(self.features[:count], self.labels, self.seed)
        if len(self.features) == count:
            return probe
        if self.words is not None:
            return cotrain(probe, self.words, self.features, self.labels, self.rounds, evidence)
        if evidence is None:
            return probe
        targets = combined(probabilities(probe, self.features, self.classes), evidence)
        targets[:count] = TASK.targets(self.labels, self.classes)
        return fit_soft(self.features, targets)

    def out_of_fold(self, evidence: np.ndarray | None = None, first: np.ndarray = NONE) -> np.ndarray:
        """Return probabilities (labelled texts, classes) of the labelled texts, each by a probe without its label.

        To save time the probes are co-trained on at most 1,500 texts without a label, those at the positions ``first``
        before others, and in at most two rounds.
        """
        count = len(self.labels)
        others = np.setdiff1d(np.arange(count, len(self.features)), first)
        unlabelled = np.concatenate([first, np.random.default_rng(self.seed).permutation(others)])[:FOLD_TEXTS]
        result = np.full((count, self.classes), 1 / self.classes)
        folds = KFold(min(FOLDS, count), shuffle=True, random_state=self.seed)
        for seen, held in folds.split(self.labels):
            if len(np.unique(self.labels[seen])) < 2:
                continue
            order = np.concatenate([seen, held, np.sort(unlabelled)])
            part = Material(
                self.features[order],
                None if self.words is None else self.words[order],
                self.labels[seen],
                self.classes,
                min(self.rounds, FOLD_ROUNDS),
                self.seed,
            )
            probe = part.probe(None if evidence is None else evidence[order])
            result[held] = probabilities(probe, self.features[held], self.classes)
        return result


def material_of(
    texts: Sequence[str], features: np.ndarray, labels: np.ndarray, classes: int, rounds: int, seed: int
) -> Material:
    """Return the material of ``texts``: the labelled ones, then those without a label."""
    words = bag_of_words(texts) if rounds and len(texts) > len(labels) else None
    return Material(features, words, labels, classes, rounds, seed)


def cotrained_rows(unlabelled: int, rounds: int, answered: np.ndarray, seed: int) -> np.ndarray:
    """Return the rows of the texts without a label that a probe is co-trained on, ascending.

    They are at most 5,000 random ones, and all that a machine labelled.

    Args:
        unlabelled: number of texts without a label.
        rounds: of co-training; with 0 the random ones are left out.
        answered: rows that a machine labelled.
        seed: of the random ones.
    """
    rows = np.zeros(0, np.int64)
    if rounds and unlabelled:
        rows = np.random.default_rng(seed).permutation(unlabelled)[:UNLABELLED]
    return np.union1d(rows, answered).astype(np.int64)
