"""The networks that a classifier can run: an ONNX file with onnxruntime, or tables with NumPy.

A registered model carries a copy of this file.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Protocol

import numpy as np

from stillhouse.serving.chunks import ID
from stillhouse.serving.hashing import MULTIPLIER, SMALLEST

ONNX, TABLES = "model.onnx", "tables.npz"  # the names of the files
INTEGER_STEPS = b"\x0eQuantizeLinear"  # in an ONNX file that calculates with integers


class Network(Protocol):
    """A network of a classifier.

    Attributes:
        parallel: whether it runs faster in threads beside the one that tokenizes. Tables are many short operations,
            after each of which a thread waits for Python's lock.
    """

    parallel: bool

    def logits(self, ids: Sequence[bytes]) -> np.ndarray:
        """Logits, float32 of shape (texts, classes).

        Args:
            ids: the word pieces of each text, int32 (``ID``).
        """


class OnnxNetwork:
    """A network in ONNX format, from ``ids`` (batch, length) to ``logits`` (batch, classes)."""

    parallel = True

    def __init__(self, model: bytes) -> None:
        import onnxruntime  # tables are served without it

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if INTEGER_STEPS not in model:  # 8-bit weights alone are multiplied out now, and not in each prediction
            options.add_session_config_entry("session.disable_quant_qdq", "1")
        options.intra_op_num_threads = 1  # one batch for each thread is faster than threads that share a batch
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def logits(self, ids: Sequence[bytes]) -> np.ndarray:
        """See :meth:`Network.logits`."""
        lengths = np.array([len(row) // ID.itemsize for row in ids])
        batch = np.zeros((len(ids), max(lengths.max(), 1)), dtype=np.int64)
        batch[np.arange(batch.shape[1]) < lengths[:, None]] = np.frombuffer(b"".join(ids), ID)
        logits: np.ndarray = self._session.run(None, {"ids": batch})[0]
        return logits


def read_tables(file: Path | IO[bytes]) -> dict[str, np.ndarray]:
    """Return the arrays of a file of tables, by name."""
    with np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


class TableNetwork:
    """A network without an encoder: each word piece, and each pair of neighbours, adds a row of a table.

    ``logits = mean(words) @ words_head + (sum(wide) + sum(pairs)) / sqrt(sum of squared weights) @ wide_head + bias``.
    The rows of all texts of a batch are added up at once, so there is no padding.

    Arrays of the file, for ``vocabulary`` pieces and ``buckets`` of pairs; integers are multiplied by their scales:
        words (vocabulary, a), words_scale (a): vectors of pieces, for the mean.
        wide (vocabulary, b), pairs (buckets, b), wide_scale (b): weighted vectors of pieces and pairs.
        wide_weights (vocabulary), pairs_weights (buckets), weights_scale (): the size of their weights.
        words_head (a, classes), wide_head (b, classes), bias (classes).
    """

    parallel = False

    def __init__(self, model: bytes) -> None:
        arrays = read_tables(io.BytesIO(model))
        self._words = np.asarray(arrays["words"] * arrays["words_scale"], np.float32)
        tables = []
        for name in ("wide", "pairs"):
            weights = arrays[f"{name}_weights"] * arrays["weights_scale"]
            tables.append(np.column_stack([arrays[name] * arrays["wide_scale"], weights**2]).astype(np.float32))
        self._wide, pairs = tables
        self._buckets = len(pairs)
        self._pairs = np.vstack([pairs, np.zeros_like(pairs[:1])])  # the last row is for a piece without a neighbour
        self._words_head, self._wide_head = arrays["words_head"], arrays["wide_head"]
        self._bias = arrays["bias"]

    def logits(self, ids: Sequence[bytes]) -> np.ndarray:
        """See :meth:`Network.logits`."""
        empty = np.zeros(1, ID).tobytes()  # the padding, whose rows are 0
        pieces = np.frombuffer(b"".join([row or empty for row in ids]), ID)
        ends = np.cumsum([len(row) // ID.itemsize or 1 for row in ids])
        starts = np.concatenate([[0], ends[:-1]])
        logits: np.ndarray = np.tile(self._bias, (len(ids), 1))
        if len(self._words_head):
            count = np.add.reduceat(pieces != 0, starts, dtype=np.float32)
            total = np.add.reduceat(self._words.take(pieces, 0), starts, axis=0)
            logits += (total / np.maximum(count, 1.0)[:, None]) @ self._words_head
        if len(self._wide_head):
            total = np.add.reduceat(self._wide.take(pieces, 0), starts, axis=0)
            total += np.add.reduceat(self._pairs.take(self._buckets_of(pieces, ends), 0), starts, axis=0)
            logits += (total[:, :-1] / np.sqrt(total[:, -1:] + SMALLEST)) @ self._wide_head
        return logits

    def _buckets_of(self, pieces: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Return the row of each piece with its right neighbour, (pieces,)."""
        after = np.append(pieces[1:], ID.type(0))
        after[ends - 1] = 0
        if self._buckets & (self._buckets - 1):
            rows: np.ndarray = (pieces * np.int64(MULTIPLIER) + after) % self._buckets
        else:  # for a power of two the lowest bits suffice, also of a product that overflows
            rows = (pieces * ID.type(MULTIPLIER) + after) & ID.type(self._buckets - 1)
        rows[ends - 1] = self._buckets
        if not pieces.all():
            rows[after == 0] = self._buckets
        return rows
