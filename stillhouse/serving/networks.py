"""The networks that a classifier can run: an ONNX file with onnxruntime, or tables with NumPy.

A registered model carries a copy of this file.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from stillhouse.serving.chunks import ID

MULTIPLIER = 31_337  # of the first piece of a pair in its hash: odd, and larger than a usual vocabulary
SMALLEST = 1e-6  # is added to a sum of squares before it divides


class Network(Protocol):
    """A network of a classifier."""

    def logits(self, ids: Sequence[bytes]) -> np.ndarray:
        """Logits, float32 of shape (texts, classes).

        Args:
            ids: the word pieces of each text, int32 (``ID``), the longest text first.
        """


class OnnxNetwork:
    """A network in ONNX format, from ``ids`` (batch, length) to ``logits`` (batch, classes)."""

    def __init__(self, model: bytes) -> None:
        import onnxruntime  # tables are served without it

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1  # one batch for each thread is faster than threads that share a batch
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def logits(self, ids: Sequence[bytes]) -> np.ndarray:
        """See :meth:`Network.logits`."""
        lengths = np.array([len(row) // ID.itemsize for row in ids])
        batch = np.zeros((len(ids), max(lengths[0], 1)), dtype=np.int64)
        batch[np.arange(batch.shape[1]) < lengths[:, None]] = np.frombuffer(b"".join(ids), ID)
        logits: np.ndarray = self._session.run(None, {"ids": batch})[0]
        return logits


class TableNetwork:
    """A network without an encoder: each word piece, and each pair of neighbours, adds a row of a table.

    ``logits = mean(words) @ words_head + (sum(wide) + sum(pairs)) / sqrt(sum of squared weights) @ wide_head + bias``.
    In a batch the rows of all texts are added up at once, so there is no padding.

    Arrays of the file, for ``vocabulary`` pieces and ``buckets`` of pairs; integers are multiplied by their scales:
        words (vocabulary, a), words_scale (a): vectors of pieces, for the mean.
        wide (vocabulary, b), pairs (buckets, b), wide_scale (b): weighted vectors of pieces and pairs.
        wide_squares (vocabulary), pairs_squares (buckets): squares of their weights.
        words_head (a, classes), wide_head (b, classes), bias (classes).
    """

    def __init__(self, model: bytes) -> None:
        with np.load(io.BytesIO(model), allow_pickle=False) as arrays:
            self._read({name: arrays[name] for name in arrays.files})

    def _read(self, arrays: Mapping[str, np.ndarray]) -> None:
        words = arrays["words"] * arrays["words_scale"]
        wide, pairs = (arrays[name] * arrays["wide_scale"] for name in ("wide", "pairs"))
        squares = (arrays[f"{name}_squares"].astype(np.float32)[:, None] for name in ("wide", "pairs"))
        own, paired = (np.hstack([*parts]).astype(np.float32) for parts in zip((wide, pairs), squares, strict=True))
        self._start = words.shape[1]  # of the columns of the wide branch
        self._pieces, self._pairs = np.hstack([words, own]).astype(np.float32), paired
        self._words_head, self._wide_head = arrays["words_head"], arrays["wide_head"]
        self._bias = arrays["bias"]

    def logits(self, ids: Sequence[bytes]) -> np.ndarray:
        """See :meth:`Network.logits`."""
        empty = np.zeros(1, ID).tobytes()  # the padding, whose rows are 0
        pieces = np.frombuffer(b"".join(row or empty for row in ids), ID)
        ends = np.cumsum([max(len(row) // ID.itemsize, 1) for row in ids])
        starts = np.concatenate([[0], ends[:-1]])
        rows, start = self._pieces.take(pieces, 0), self._start
        if len(self._wide_head):
            after = np.append(pieces[1:], 0)
            after[ends - 1] = 0
            found = self._pairs.take((pieces.astype(np.int64) * MULTIPLIER + after) % len(self._pairs), 0)
            found[after == 0] = 0.0
            rows[:, start:] += found
        total = np.add.reduceat(rows, starts, axis=0)
        count = np.add.reduceat(pieces != 0, starts, dtype=np.float32)
        mean = total[:, :start] / np.maximum(count, 1.0)[:, None]
        wide = total[:, start:-1] / np.sqrt(total[:, -1:] + SMALLEST)
        logits: np.ndarray = mean @ self._words_head + wide @ self._wide_head + self._bias
        return logits


NETWORKS: Mapping[str, type[OnnxNetwork] | type[TableNetwork]] = {
    "model.onnx": OnnxNetwork,
    "tables.npz": TableNetwork,
}  # by the name of the file
