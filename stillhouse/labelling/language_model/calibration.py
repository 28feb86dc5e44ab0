"""Batch calibration: removes the prompt's bias towards some classes."""

import numpy as np

LEAST = 1e-3  # smallest mean probability that a class is divided by


def calibrate(probabilities: np.ndarray, batch: np.ndarray | None = None) -> np.ndarray:
    """Divide by the mean probabilities over a batch, and normalise again (Zhou et al. 2023, arXiv:2309.17249).

    In logarithms, the mean's logarithm is subtracted. The method assumes that the classes are equally frequent in the
    batch: it removes real differences in frequency, too.

    Args:
        probabilities: (texts, classes). Rows of NaN stay.
        batch: (texts, classes), which the means are from; None: ``probabilities``.

    Returns:
        float32 (texts, classes); each row adds up to 1.
    """
    batch = probabilities if batch is None else batch
    usable = batch[~np.isnan(batch).any(axis=1)].astype(np.float64)
    if not len(usable):
        return probabilities.astype(np.float32)
    scaled = probabilities.astype(np.float64) / np.maximum(usable.mean(axis=0), LEAST)
    calibrated: np.ndarray = (scaled / scaled.sum(axis=1, keepdims=True)).astype(np.float32)
    return calibrated
