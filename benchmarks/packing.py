"""Predictions as text, for the result files."""

import base64

import numpy as np


def pack(numbers: list[int]) -> str:
    """Encode class numbers below 255 (-1: no class) as text."""
    return base64.b64encode(np.array(numbers, dtype=np.int16).astype(np.uint8).tobytes()).decode()


def unpack(text: str) -> np.ndarray:
    """Decode the text of :func:`pack`. -1 becomes 255, which is no class."""
    return np.frombuffer(base64.b64decode(text), dtype=np.uint8)
