"""The least that a classifier must do: be better than one that gives every text the same answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import random_table

from stillhouse.evaluation.classes import Class, mean_recall
from stillhouse.evaluation.significance import LEVEL, Gap, paired
from stillhouse.task import TASK

CONSTANT = "most frequent class"
HELP = (
    "Label more texts of the other classes, add texts without labels (data.unlabelled), and check that teacher.model "
    "knows the language of the texts"
)
TABLES = 2000  # random ones of the permutation test
CELLS = 4_000_000  # of tables in memory at once: 32 MB


@dataclass(frozen=True)
class Against:
    """A classifier against the best constant answer.

    ``name`` is that answer and ``accuracy`` its share of the test texts; ``gap`` is the classifier's accuracy minus it.
    ``recall`` is the classifier's mean recall of the classes, ``chance`` that of any answer that does not depend on
    the text (1 / number of classes), ``p`` the p-value of the test that the recall is not above it.
    """

    name: str
    accuracy: float
    gap: Gap
    recall: float
    chance: float
    p: float

    @property
    def is_better(self) -> bool:
        """Shown to be better in accuracy; or in mean recall, by more than it loses in accuracy.

        Where one class has nearly all texts, few test texts can show a gain in accuracy, although a model that
        recognises the rare classes is worth more than a constant answer. One that loses much accuracy is not.
        """
        gained = self.p < LEVEL and self.gap.accuracy + self.recall - self.chance > 0
        return self.gap.is_gain or gained


def most_frequent(labels: np.ndarray, known: int) -> int:
    """The class number, of the first ``known``, that most of the test texts ``labels`` (texts,) have.

    The test texts and not the training texts decide: ``data.labels_per_class`` makes the classes of the latter equal.
    """
    return TASK.most_frequent(labels, known)


def against_constant(classes: Sequence[Class], seed: int = 0) -> Against:
    """Compare the classifier that was counted with the best constant answer.

    Accuracy: the exact paired test. Mean recall: a permutation test; under the null hypothesis the answers do not
    depend on the texts, so the tables of labels and answers are random ones with the observed margins
    (W. M. Patefield, Applied Statistics 30, 1981).

    Args:
        classes: counts of the classes, at least one with training and test texts.
        seed: of the random tables.
    """
    best = max((one for one in classes if one.training), key=lambda one: one.texts)
    mine = np.concatenate([np.arange(one.texts) < one.right for one in classes]).astype(float)
    constant = np.concatenate([np.full(one.texts, one is best) for one in classes]).astype(float)
    tested = [one for one in classes if one.texts]
    gap = paired(mine, constant, seed=seed)
    return Against(
        best.name, float(constant.mean()), gap, mean_recall(classes), 1 / len(tested), _no_relation(classes, seed)
    )


def _no_relation(classes: Sequence[Class], seed: int) -> float:
    """The share of random tables whose mean recall reaches the observed one (the observed table counts)."""
    texts, answered = (np.array([getattr(one, name) for one in classes]) for name in ("texts", "answered"))
    shares = np.where(texts > 0, 1 / np.maximum(texts, 1), 0)
    observed = sum(one.right * share for one, share in zip(classes, shares, strict=True))
    random, tables = np.random.default_rng(seed), random_table(texts, answered)
    reached, step = 0, max(1, CELLS // len(classes) ** 2)
    for start in range(0, TABLES, step):
        drawn = tables.rvs(min(step, TABLES - start), random_state=random)
        right = np.diagonal(drawn, axis1=-2, axis2=-1)
        reached += int((right @ shares >= observed - 1e-9).sum())
    return (reached + 1) / (TABLES + 1)
