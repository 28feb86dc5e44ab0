"""Calibration: of the answers with a probability of 90 %, 90 % should be right.

One temperature divides the logits of a model (C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017,
arXiv:1706.04599). It changes no decision.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from stillhouse.task import TASK

SHARPEST, SOFTEST = 0.05, 20.0  # limits of the temperature
FOLDS = 5
BINS = 15


def with_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return the probabilities (texts, classes) of a model whose logits are divided by ``temperature``."""
    return TASK.probabilities(TASK.logits(probabilities) / temperature)


def log_loss(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the cross-entropy of each text, (texts,).

    Args:
        probabilities: (texts, classes); one below 1e-6 counts as 1e-6.
        targets: the probabilities that are right, or 1 for the class of the label; (texts, classes).
    """
    losses: np.ndarray = -(targets * TASK.logits(probabilities)).sum(1)
    return losses


def fit_temperature(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Return the temperature with the lowest mean :func:`log_loss`."""

    def loss(log_temperature: float) -> float:
        return float(log_loss(with_temperature(probabilities, np.exp(log_temperature)), targets).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(SHARPEST), np.log(SOFTEST)), method="bounded").x))


@dataclass(frozen=True)
class Calibration:
    """A fitted temperature.

    Attributes:
        temperature: divides the logits; two decimals.
        texts: number of texts that it was fitted on.
        before: their mean log loss without a temperature.
        after: their mean log loss in cross-validation.
        used: whether the temperature lowers the log loss in cross-validation by more than one standard error. A smaller
            gain may be chance, and the model then keeps its probabilities.
    """

    temperature: float
    texts: int
    before: float
    after: float
    used: bool


def calibrate(probabilities: np.ndarray, targets: np.ndarray) -> Calibration:
    """Fit a temperature, and measure it in cross-validation.

    Args:
        probabilities: of the model, (texts, classes), for texts that it was not trained on.
        targets: see :func:`log_loss`.
    """
    before, after = log_loss(probabilities, targets), np.zeros(len(targets))
    order = np.random.default_rng(0).permutation(len(targets))
    for held in np.array_split(order, FOLDS):
        fitted = np.setdiff1d(order, held)
        temperature = fit_temperature(probabilities[fitted], targets[fitted])
        after[held] = log_loss(with_temperature(probabilities[held], temperature), targets[held])
    temperature, gain = round(fit_temperature(probabilities, targets), 2), before - after
    used = bool(temperature != 1.0 and gain.mean() > gain.std() / np.sqrt(len(gain)))
    return Calibration(temperature, len(targets), float(before.mean()), float(after.mean()), used)


@dataclass(frozen=True)
class Reliability:
    """How far confidence is from accuracy.

    Attributes:
        error: the expected calibration error, 0 to 1 (:meth:`~stillhouse.task.SingleLabel.calibration_error`).
        low, high: its 95 % interval, approximate.
        confidence: mean confidence of the texts of each bin that has any, (bins,).
        accuracy: share of them that is answered right, (bins,).
        texts: their number, (bins,).
    """

    error: float
    low: float
    high: float
    confidence: np.ndarray
    accuracy: np.ndarray
    texts: np.ndarray

    @property
    def lean(self) -> float:
        """Share of right answers minus the mean confidence; above 0 the probabilities are too low."""
        return float(np.average(self.accuracy - self.confidence, weights=self.texts))


def reliability(confidence: np.ndarray, right: np.ndarray, resamples: int, seed: int) -> Reliability:
    """Measure the calibration, in 15 bins of equal width.

    The error of a sample is on average too high, and that of a bootstrap sample higher again. So the interval is the
    basic bootstrap's, which mirrors the quantiles at the measured error (A. Davison and D. Hinkley, "Bootstrap Methods
    and their Application", 1997, section 5.2).

    Args:
        confidence: the probability of each answer (texts,).
        right: 1 for each right answer, else 0 (texts,).
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    bins = np.minimum((confidence.astype(float) * BINS).astype(np.int8), BINS - 1)
    gap, count, random = right - confidence.astype(float), len(right), np.random.default_rng(seed)

    def error(rows: np.ndarray) -> float:
        return float(np.abs(np.bincount(bins[rows], gap[rows], BINS)).sum() / count)

    measured = error(np.arange(count))
    low, high = np.quantile([error(random.integers(0, count, count)) for _ in range(resamples)], [0.025, 0.975])
    texts = np.bincount(bins, minlength=BINS)
    used = texts > 0
    means = [np.bincount(bins, values, BINS)[used] / texts[used] for values in (confidence, right)]
    return Reliability(measured, max(2 * measured - high, 0.0), 2 * measured - low, means[0], means[1], texts[used])
