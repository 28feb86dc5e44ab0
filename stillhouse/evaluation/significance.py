"""How sure a measured accuracy or difference is."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Gap:
    """A difference in accuracy (-1 to 1), with its paired 95 % interval."""

    accuracy: float
    low: float
    high: float

    @property
    def is_gain(self) -> bool:
        """The first is shown to be better."""
        return self.low > 0

    @property
    def is_loss(self) -> bool:
        """The first is shown to be worse."""
        return self.high < 0


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
    """Accuracy of one classifier minus another's, with its paired 95 % interval.

    Args:
        one: 1 for each text that it answers rightly, 0 for each other, ``(texts,)``.
        other: the same of the other classifier on the same texts.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    low, high = bootstrap_interval(one - other, resamples, seed)
    return Gap(float((one - other).mean()), low, high)
