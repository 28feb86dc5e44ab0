"""Rounding to 8-bit integers, symmetric around 0: ``number = integer * scale``."""

import numpy as np

LARGEST = 127


def scale_of(largest: np.ndarray) -> np.ndarray:
    """Return the scale of numbers whose absolute values are at most ``largest``; same shape."""
    scale: np.ndarray = np.maximum(largest, 1e-12) / LARGEST
    return scale


def rounded(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return ``values / scale`` as 8-bit integers; ``scale`` is broadcast."""
    integers: np.ndarray = np.rint(values / scale).astype(np.int8)
    return integers
