"""How sure a measured accuracy or difference is."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

LEVEL = 0.05  # of the two-sided test behind the word "shown"


@dataclass(frozen=True)
class Gap:
    """A difference in accuracy (-1 to 1) on the same texts, its paired 95 % interval, and the exact test's p-value.

    The test alone decides: on few texts, or where few answers differ, the bootstrap interval is too narrow.
    """

    accuracy: float
    low: float
    high: float
    p: float

    @property
    def is_gain(self) -> bool:
        """The first is shown to be better: the two-sided exact test at 5 %."""
        return self.accuracy > 0 and self.p < LEVEL

    @property
    def is_loss(self) -> bool:
        """The first is shown to be worse: the two-sided exact test at 5 %."""
        return self.accuracy < 0 and self.p < LEVEL


def bootstrap_interval(values: np.ndarray, resamples: int, seed: int, level: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean (Efron 1979).

    For a paired comparison of two classifiers pass the difference of their rights and wrongs on the same
    texts: the interval then is that of the difference in accuracy.

    Args:
        values: one number a text, ``(texts,)``.
        resamples: how many times to draw.
        seed: of the drawing.
        level: the share of resampled means inside the interval.
    """
    random = np.random.default_rng(seed)
    # Drawing how often each distinct value comes is the same as drawing texts, and costs no memory.
    distinct, counts = np.unique(values, return_counts=True)
    draws = random.multinomial(len(values), counts / len(values), size=resamples)
    means = draws @ distinct / len(values)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired(one: np.ndarray, other: np.ndarray, resamples: int = 2000, seed: int = 0) -> Gap:
    """Accuracy of one classifier minus another's, with its paired 95 % interval and the exact test of no difference.

    Args:
        one: 1 for each text that it answers rightly, 0 for each other, ``(texts,)``.
        other: the same of the other classifier on the same texts.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    low, high = bootstrap_interval(one - other, resamples, seed)
    p = mcnemar(int(((one == 1) & (other == 0)).sum()), int(((one == 0) & (other == 1)).sum()))
    return Gap(float((one - other).mean()), low, high, p)


def p_value(p: float) -> str:
    """For a reader: two digits, or that it is below 0.001."""
    return f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"


def mcnemar(gained: int, lost: int) -> float:
    """The two-sided mid-p value of McNemar's exact test, 0 to 1.

    M. W. Fagerland, S. Lydersen, P. Laake, "The McNemar test for binary matched-pairs data: mid-p and asymptotic are
    better than exact conditional", BMC Medical Research Methodology 2013, doi:10.1186/1471-2288-13-91.

    Args:
        gained: texts that only the first classifier answers correctly.
        lost: texts that only the second one does.

    Returns:
        The p-value; 1 where as many are gained as are lost, for example none.
    """
    if gained == lost:
        return 1.0
    fewer, differing = min(gained, lost), gained + lost
    return float(2 * binom.cdf(fewer, differing, 0.5) - binom.pmf(fewer, differing, 0.5))
