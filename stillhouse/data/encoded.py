"""Token ids of a whole split on disk, and batches of texts of similar length.

The ids are end to end in one memory-mapped file. So memory grows with the batch and not with the data, and a batch
costs a few NumPy copies.
"""

from array import array
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import Dataset
from tokenizers import Tokenizer

from stillhouse.data.terms import has_unspaced, word_starts
from stillhouse.data.vocabulary import PAD_ID

BATCH = 1000
NO_WORD = -1
BUCKET = 50  # batches that are sorted by length together


@dataclass(frozen=True)
class Encoded:
    """Token ids of texts.

    Attributes:
        ids: int32 of shape ``(tokens,)``. Text ``i`` is ``ids[offsets[i]:offsets[i + 1]]``.
        offsets: int64 of shape ``(texts + 1,)``.
        words: for each token the number of its word, of the shape of ``ids``; None if not requested.
    """

    ids: np.ndarray
    offsets: np.ndarray
    words: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Number of tokens of each text, int64 of shape ``(texts,)``."""
        return np.diff(self.offsets)

    def padded(self, rows: np.ndarray) -> np.ndarray:
        """The texts at ``rows`` as int64 of shape ``(len(rows), longest)``, padded with 0."""
        return self._padded(self.ids, rows, PAD_ID)

    def padded_words(self, rows: np.ndarray) -> np.ndarray:
        """The word numbers of the texts at ``rows``, as :meth:`padded`, padded with -1."""
        assert self.words is not None
        return self._padded(self.words, rows, NO_WORD)

    def _padded(self, values: np.ndarray, rows: np.ndarray, padding: int) -> np.ndarray:
        starts, lengths = self.offsets[rows], self.offsets[rows + 1] - self.offsets[rows]
        batch = np.full((len(rows), max(int(lengths.max()), 1)), padding, dtype=np.int64)
        for position, (start, length) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
            batch[position, :length] = values[start : start + length]
        return batch


def encode_texts(
    datasets: Sequence[Dataset], tokenizer: Tokenizer, max_length: int, file: Path, words: bool = False
) -> Encoded:
    """Tokenize the column ``text`` of all ``datasets``, one after the other, into ``file`` (int32).

    Each text is truncated to ``max_length`` tokens. With ``words`` the word numbers of the tokens are in
    ``<file>.words``.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    word_file = file.with_name(file.name + ".words")
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    encode = tokenizer.encode_batch if words else tokenizer.encode_batch_fast  # computes no offsets
    lengths = array("q", [0])
    with file.open("wb") as out, word_file.open("wb") if words else nullcontext() as word_out:
        for dataset in datasets:
            for batch in dataset.iter(batch_size=BATCH):
                for text, encoding in zip(batch["text"], encode(batch["text"], add_special_tokens=False), strict=True):
                    lengths.append(len(encoding.ids))
                    out.write(np.array(encoding.ids, dtype=np.int32).tobytes())
                    if word_out:
                        starts = [start for start, _ in encoding.offsets]
                        word_out.write(word_numbers(text, starts).astype(np.int32).tobytes())
    offsets = np.cumsum(np.frombuffer(lengths, np.int64))
    return Encoded(_mapped(file), offsets, _mapped(word_file) if words else None)


def word_numbers(text: str, starts: Sequence[int]) -> np.ndarray:
    """Return the word number of each token.

    Args:
        text: its words are those of ``terms.words_of``.
        starts: for each token the position of its first character.
    """
    if not text:
        return np.full(len(starts), NO_WORD)
    if has_unspaced(text):
        begins = np.array(word_starts(text))
    else:
        space = np.array([True, *(character.isspace() for character in text)])
        begins = space[:-1] & ~space[1:]
    word = np.cumsum(begins) - 1
    return word[np.minimum(starts, len(text) - 1)] if len(starts) else np.zeros(0, int)


def _mapped(file: Path) -> np.ndarray:
    # An empty file cannot be memory-mapped.
    return np.memmap(file, np.int32, "r") if file.stat().st_size else np.zeros(0, np.int32)


def longest_first(lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return row numbers, the longest text first, int64 of shape ``(texts,)``."""
    return np.argsort(-np.asarray(lengths), kind="stable")


def batches(lengths: Sequence[int] | np.ndarray, size: int, seed: int | None = None) -> Iterator[np.ndarray]:
    """Yield batches of row numbers of texts of similar length, which need little padding.

    With a ``seed`` the rows are shuffled first, and the batches come in random order. Without one the batches go from
    the longest texts to the shortest. The longest need the most memory, so a lack of memory shows in the first batch.
    """
    if seed is None:
        order = longest_first(lengths)
        yield from (order[start : start + size] for start in range(0, len(order), size))
        return
    random, lengths = np.random.default_rng(seed), np.asarray(lengths)
    order = random.permutation(len(lengths))
    chunks = [order[start : start + size * BUCKET] for start in range(0, len(order), size * BUCKET)]
    sorted_chunks = [chunk[longest_first(lengths[chunk])] for chunk in chunks]
    made = [chunk[start : start + size] for chunk in sorted_chunks for start in range(0, len(chunk), size)]
    for index in random.permutation(len(made)):
        yield made[index]
