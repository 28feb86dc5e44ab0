"""Confidence intervals and significance tests of accuracies and differences."""

from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr  # scipy.stats takes two seconds to load

LEVEL = 0.05  # significance level; "shown" means a p-value below it in the two-sided exact test


@dataclass(frozen=True)
class Gap:
    """A difference in accuracy (-1 to 1) on the same texts, its paired 95 % interval, and the exact test's p-value.

    Only the test decides. The bootstrap interval is too narrow on few texts, or if few predictions differ.
    """

    accuracy: float
    low: float
    high: float
    p: float

    @property
    def is_gain(self) -> bool:
        """Whether the first classifier is shown to be better (two-sided exact test at 5 %)."""
        return self.accuracy > 0 and self.p < LEVEL

    @property
    def is_loss(self) -> bool:
        """Whether the first classifier is shown to be worse (two-sided exact test at 5 %)."""
        return self.accuracy < 0 and self.p < LEVEL


def bootstrap_interval(values: np.ndarray, resamples: int, seed: int, level: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean (Efron 1979).

    For a paired comparison of two classifiers pass the differences of their correctness (1 or 0) on the same texts.
    The interval is then that of the difference in accuracy.

    Args:
        values: one number for each text, ``(texts,)``.
        resamples: number of bootstrap samples.
        seed: of the samples.
        level: the share of resampled means inside the interval.
    """
    random = np.random.default_rng(seed)
    # The counts of each distinct value are drawn instead of the texts: the distribution is the same, the memory small.
    distinct, counts = np.unique(values, return_counts=True)
    draws = random.multinomial(len(values), counts / len(values), size=resamples)
    means = draws @ distinct / len(values)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired(one: np.ndarray, other: np.ndarray, resamples: int = 2000, seed: int = 0) -> Gap:
    """Accuracy of one classifier minus that of another, with its paired 95 % interval and the exact test's p-value.

    Args:
        one: 1 for each text that the first classifier predicts correctly, else 0, ``(texts,)``; a signed type.
        other: the same for the second classifier on the same texts.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    low, high = bootstrap_interval(one - other, resamples, seed)
    p = mcnemar(int(((one == 1) & (other == 0)).sum()), int(((one == 0) & (other == 1)).sum()))
    return Gap(float((one - other).mean()), low, high, p)


def p_value(p: float) -> str:
    """A p-value for a message: two significant digits, or "p < 0.001"."""
    return f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"


def mcnemar(gained: int, lost: int) -> float:
    """The two-sided mid-p value of McNemar's exact test, 0 to 1.

    M. W. Fagerland, S. Lydersen, P. Laake, "The McNemar test for binary matched-pairs data: mid-p and asymptotic are
    better than exact conditional", BMC Medical Research Methodology 2013, doi:10.1186/1471-2288-13-91.

    Args:
        gained: number of texts that only the first classifier predicts correctly.
        lost: number of texts that only the second classifier predicts correctly.

    Returns:
        The p-value; 1 if both numbers are equal.
    """
    if gained == lost:
        return 1.0
    fewer, differing = min(gained, lost), gained + lost
    below = bdtr(fewer - 1, differing, 0.5) if fewer else 0.0
    return float(bdtr(fewer, differing, 0.5) + below)
