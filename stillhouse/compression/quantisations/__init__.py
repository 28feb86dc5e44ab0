"""Quantisations: fewer bits for each weight. Each file here is one; ``compress.quantisation`` names it.

It defines a function marked with ``@register``: ``(source, file, batches, network)`` reads the ONNX file ``source`` of
the student ``network`` and writes the ONNX file ``file``. ``batches`` are token ids of training texts,
each ``(texts, length)``; a quantisation may calibrate its ranges on them.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from stillhouse.models.students.network import TextNetwork
from stillhouse.registry import Registry

Batches = Sequence[np.ndarray]
Quantise = Callable[[Path, Path, Batches, TextNetwork], None]

QUANTISATIONS: Registry[Quantise] = Registry("stillhouse.compression.quantisations")


@contextmanager
def without_warnings() -> Iterator[None]:
    """Suppress a warning of onnxruntime, which recommends a pre-processing step that is meant for image models."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
