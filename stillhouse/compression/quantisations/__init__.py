"""Fewer bits a weight: a file here is a quantisation, named in ``compress.quantisation``.

It defines a function marked with ``@register``: ``(source, file, batches, network)`` reads the ONNX file ``source`` of
the student ``network`` and writes ``file``. ``batches`` are token ids (texts, length) of training texts, from which a
quantisation may take ranges.
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
    """Silence onnxruntime, which recommends a pre-processing step for image models."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
