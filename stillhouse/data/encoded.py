"""Token ids of a whole split on disk, and length-bucketed batches of them.

The ids lie end to end in one memory-mapped file, so that memory grows with the batch and not with the
data, and a batch costs a few NumPy copies.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import Dataset
from tokenizers import Tokenizer

from stillhouse.data.vocabulary import PAD_ID

BATCH = 1000
BUCKET = 50  # batches that are sorted by length together


@dataclass(frozen=True)
class Encoded:
    """``ids`` int32 of shape ``(total,)``; text ``i`` is ``ids[offsets[i]:offsets[i + 1]]``."""

    ids: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each text, int64 of shape ``(texts,)``."""
        return np.diff(self.offsets)

    def padded(self, rows: np.ndarray) -> np.ndarray:
        """The texts at ``rows`` as int64 of shape ``(len(rows), longest)``, padded with 0."""
        lengths = self.lengths[rows]
        batch = np.full((len(rows), max(int(lengths.max()), 1)), PAD_ID, dtype=np.int64)
        for position, (row, length) in enumerate(zip(rows, lengths, strict=True)):
            start = self.offsets[row]
            batch[position, :length] = self.ids[start : start + length]
        return batch


def encode_split(dataset: Dataset, tokenizer: Tokenizer, max_length: int, file: Path) -> Encoded:
    """Tokenize ``dataset['text']`` into ``file`` (int32), each text cut to ``max_length`` tokens."""
    file.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    lengths = [0]
    with file.open("wb") as out:
        for batch in dataset.iter(batch_size=BATCH):
            for encoding in tokenizer.encode_batch_fast(batch["text"], add_special_tokens=False):
                lengths.append(len(encoding.ids))
                out.write(np.array(encoding.ids, dtype=np.int32).tobytes())
    offsets = np.cumsum(lengths, dtype=np.int64)
    # A file of no bytes cannot be mapped.
    ids = np.memmap(file, np.int32, "r") if offsets[-1] else np.zeros(0, np.int32)
    return Encoded(ids, offsets)


def batches(lengths: np.ndarray, size: int, seed: int | None = None) -> Iterator[np.ndarray]:
    """Row numbers in batches of texts of similar length, so that little is padded.

    With a ``seed`` the rows are shuffled first and the batches come in random order; without, the batches
    go from the longest texts (which need the most memory: fail early) to the shortest.
    """
    if seed is None:
        order = np.argsort(-lengths, kind="stable")
        yield from (order[start : start + size] for start in range(0, len(order), size))
        return
    random = np.random.default_rng(seed)
    order = random.permutation(len(lengths))
    chunks = [order[start : start + size * BUCKET] for start in range(0, len(order), size * BUCKET)]
    sorted_chunks = [chunk[np.argsort(-lengths[chunk], kind="stable")] for chunk in chunks]
    made = [chunk[start : start + size] for chunk in sorted_chunks for start in range(0, len(chunk), size)]
    for index in random.permutation(len(made)):
        yield made[index]
