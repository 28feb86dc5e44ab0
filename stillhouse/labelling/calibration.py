"""Calibrates a machine's probabilities on texts whose label is known: a temperature, and the removal of a bias."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from stillhouse.task import TASK

LEAST = 0.01  # probability: a single answer is no certainty
SHARPEST, SOFTEST = 0.1, 20.0  # limits of the temperature
KNOWN_TEXTS = 10  # fewer known labels calibrate nothing
ERRORS = 2.0  # standard errors by which the removal of a bias must lower the log loss


@dataclass(frozen=True)
class Calibration:
    """Turns a machine's probabilities into calibrated ones.

    Attributes:
        temperature: divides the logits (C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017,
            arXiv:1706.04599).
        prior: mean probabilities (classes,), which the probabilities are divided by first: batch calibration
            (H. Zhou et al. 2023, arXiv:2309.17249). None: not used.
    """

    temperature: float
    prior: np.ndarray | None = None

    def __call__(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the calibrated probabilities (texts, classes)."""
        return TASK.probabilities(_logits(probabilities, self.prior) / self.temperature)


def calibration_of(known: np.ndarray, labels: np.ndarray, others: np.ndarray) -> Calibration:
    """Fit a calibration.

    Batch calibration assumes equally frequent classes, so it also removes real differences in frequency. It is used
    only where it lowers the log loss of the known texts by more than two standard errors.

    Args:
        known: the machine's probabilities (texts, classes) for texts whose label is known.
        labels: their class numbers.
        others: the machine's probabilities for the other texts, which the prior is from.

    Returns:
        The calibration; one that changes nothing for fewer than 10 known texts.
    """
    if len(labels) < KNOWN_TEXTS:
        return Calibration(1.0)
    plain = Calibration(_temperature(known, labels, None))
    if not len(others):
        return plain
    prior = others.mean(0)
    unbiased = Calibration(_temperature(known, labels, prior), prior)
    gain = TASK.log_losses(plain(known), labels) - TASK.log_losses(unbiased(known), labels)
    return unbiased if gain.mean() > ERRORS * gain.std() / np.sqrt(len(gain)) else plain


def _temperature(known: np.ndarray, labels: np.ndarray, prior: np.ndarray | None) -> float:
    def loss(log_temperature: float) -> float:
        found = Calibration(float(np.exp(log_temperature)), prior)(known)
        return float(TASK.log_losses(found, labels).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(SHARPEST), np.log(SOFTEST)), method="bounded").x))


def _logits(probabilities: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
    logits = TASK.logits(np.maximum(probabilities, LEAST))
    return logits if prior is None else logits - np.log(np.maximum(prior, LEAST))
