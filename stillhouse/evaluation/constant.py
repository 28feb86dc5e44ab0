"""Comparison of a classifier with a constant prediction: the most frequent class for every text."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stillhouse.evaluation.classes import ClassCounts, mean_recall
from stillhouse.evaluation.significance import LEVEL, Gap, paired
from stillhouse.task import TASK

CONSTANT = "most frequent class"
HELP = (
    "Label more texts of the other classes, add texts without labels (data.unlabelled), and check that teacher.model "
    "knows the language of the texts"
)
TABLES = 2000  # random tables of the permutation test
CELLS = 4_000_000  # maximum of table cells in memory at once: 32 MB


@dataclass(frozen=True)
class ConstantComparison:
    """The comparison of a classifier with the best constant prediction.

    Attributes:
        name: the class of the constant prediction.
        accuracy: of the constant prediction, 0 to 1.
        gap: accuracy of the classifier minus that of the constant prediction.
        recall: mean recall of the classifier over the classes, 0 to 1.
        chance: mean recall of any prediction that does not depend on the text (1 / number of classes).
        p: p-value of the null hypothesis that the predictions do not depend on the texts; the test statistic is the
            mean recall.
    """

    name: str
    accuracy: float
    gap: Gap
    recall: float
    chance: float
    p: float

    @property
    def is_better(self) -> bool:
        """Whether the classifier is shown better in accuracy, or in mean recall by more than it loses in accuracy.

        If one class has nearly all texts, few test texts can show a gain in accuracy. A model that recognises the rare
        classes is still more useful than a constant prediction, unless it loses much accuracy.
        """
        gained = self.p < LEVEL and self.gap.accuracy + self.recall - self.chance > 0
        return self.gap.is_gain or gained


def most_frequent(labels: np.ndarray, known: int) -> int:
    """The number of the most frequent class of the test texts.

    The test texts are counted because ``data.labels_per_class`` makes the classes of the training texts equally
    frequent.

    Args:
        labels: of the test texts, ``(texts,)``.
        known: only the first ``known`` classes count; the training texts have no others.
    """
    return TASK.most_frequent(labels, known)


def compare_with_constant(classes: Sequence[ClassCounts], seed: int = 0) -> ConstantComparison:
    """Compare a classifier with the best constant prediction.

    The accuracy is compared by the exact paired test, the mean recall by a permutation test. Its null hypothesis is
    that the predictions do not depend on the texts. Then the tables of labels and predictions are random tables with
    the observed margins (W. M. Patefield, Applied Statistics 30, 1981).

    Args:
        classes: the classifier's counts of each class, at least one with training and test texts.
        seed: of the random tables and of the bootstrap.
    """
    best = max((row for row in classes if row.training), key=lambda row: row.texts)
    correct = np.concatenate([np.arange(row.texts) < row.right for row in classes]).astype(float)
    constant = np.concatenate([np.full(row.texts, row is best) for row in classes]).astype(float)
    tested = [row for row in classes if row.texts]
    gap = paired(correct, constant, seed=seed)
    return ConstantComparison(
        best.name, float(constant.mean()), gap, mean_recall(classes), 1 / len(tested), _recall_p_value(classes, seed)
    )


def _recall_p_value(classes: Sequence[ClassCounts], seed: int) -> float:
    """The share of tables whose mean recall reaches the observed one: the random tables and the observed table."""
    from scipy.stats import random_table  # takes two seconds to load, and flows import this module

    texts, answered = (np.array([getattr(row, name) for row in classes]) for name in ("texts", "answered"))
    shares = np.where(texts > 0, 1 / np.maximum(texts, 1), 0)
    observed = sum(row.right * share for row, share in zip(classes, shares, strict=True))
    random, tables = np.random.default_rng(seed), random_table(texts, answered)
    reached, step = 0, max(1, CELLS // len(classes) ** 2)
    for start in range(0, TABLES, step):
        drawn = tables.rvs(min(step, TABLES - start), random_state=random)
        right = np.diagonal(drawn, axis1=-2, axis2=-1)
        reached += int((right @ shares >= observed - 1e-9).sum())
    return (reached + 1) / (TABLES + 1)
