"""Finds texts that occur more than once. The keys of the texts are in a file, so memory hardly grows with the data."""

import tempfile
from collections.abc import Iterable

import numpy as np

from stillhouse.data.keys import KEY_BYTES, text_key

GROUPS = 256  # the keys are compared in so many groups, by their first byte


class TextKeys:
    """The keys of texts, in the order of :meth:`add`."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # removed with this object
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, texts: Iterable[str]) -> None:
        """Add texts."""
        keys = [text_key(text) for text in texts]
        self._file.write(b"".join(keys))
        self._size += len(keys)

    def first(self) -> np.ndarray:
        """Return for each text the number of the first text with the same key, int32 of shape ``(texts,)``."""
        first = np.arange(self._size, dtype=np.int32)
        if not self._size:
            return first
        self._file.flush()
        keys = np.memmap(self._file, np.dtype(">u8"), "r").reshape(-1, KEY_BYTES // 8)
        groups = keys.view(np.uint8)[:, 0].copy()
        for group in range(GROUPS):
            rows = np.flatnonzero(groups == group)
            some = keys[rows]
            order = np.lexsort(some.T)  # stable: equal keys stay in the order of the texts
            ordered = some[order]
            new = np.ones(len(rows), bool)
            new[1:] = (ordered[1:] != ordered[:-1]).any(1)
            first[rows[order]] = rows[order[np.maximum.accumulate(np.where(new, np.arange(len(rows)), 0))]]
        return first
