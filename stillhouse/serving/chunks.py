"""Word pieces by look-up: each chunk (a stretch of text between spaces) is tokenized once and cached.

It needs NumPy and tokenizers alone. A registered model carries a copy of this file.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from types import MappingProxyType

import numpy as np
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import Whitespace

LIMIT = 100_000  # maximum of cached chunks: 25 MB for usual words, 40 MB at most
LONGEST = 40  # maximum length of a cached chunk in characters
CHARACTERS = 6  # a high estimate of the characters in a word piece: of a long text, only so much is tokenized first
# str.split() splits at these characters; for Unicode, and so for tokenizers, they are not spaces.
SEPARATORS = "\x1c\x1d\x1e\x1f"
FENCE = "[PAD]"  # the special token between two chunks; only a text with these characters can contain its id
TOGETHER = 256  # chunks that are joined to one text for the tokenizer
ID = np.dtype(np.int32)


class Chunks:
    """The ids that a tokenizer gives to texts, with a cache of chunks.

    No word piece spans a space, so the ids of a text are the ids of its chunks in order. Several threads can use one
    object: the cache is only extended, or replaced as a whole.
    """

    def __init__(
        self, tokenizer: Tokenizer, max_length: int, common: Mapping[str, Sequence[int]] = MappingProxyType({})
    ) -> None:
        """Make an empty cache; the ``common`` chunks with their ids are in it from the start and stay in it."""
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer, self._max_length, self._bytes = tokenizer, max_length, max_length * ID.itemsize
        self._splits = isinstance(tokenizer.pre_tokenizer, Whitespace)
        special = [str(one) for one in tokenizer.get_added_tokens_decoder().values() if one.special]
        self._fence = tokenizer.token_to_id(FENCE) if self._splits and FENCE in special else None
        self._common = {chunk: np.array(ids, ID).tobytes() for chunk, ids in common.items()}
        self._known = dict(self._common)
        self._lock = threading.Lock()

    def ids(self, texts: Sequence[str]) -> list[bytes]:
        """The first ``max_length`` ids of each text as bytes of int32 (``ID``), the same as for the whole text.

        Half of a surrogate pair, which JSON can contain, is read as a question mark because UTF-8 cannot encode it.
        """
        length = self._max_length * CHARACTERS
        rows = self._rows([_head(text, length) for text in texts])
        cut = [n for n, row in enumerate(rows) if len(row) < self._bytes and len(texts[n]) > length]
        if cut:
            for n, row in zip(cut, self._rows([texts[n] for n in cut]), strict=True):
                rows[n] = row
        return rows

    def _rows(self, texts: Sequence[str]) -> list[bytes]:
        known, most = self._known, self._bytes
        rows: list[bytes] = []
        later: list[tuple[int, list[str]]] = []
        together = "".join(texts)  # is searched faster than each text
        plain = self._splits and not any(one in together for one in SEPARATORS)
        for text in texts:
            chunks = text.split() if plain else self._chunks(text)
            try:
                rows.append(b"".join(map(known.__getitem__, chunks))[:most])
            except KeyError:
                later.append((len(rows), chunks))
                rows.append(b"")
        if later:
            new = self._encoded(list(set().union(*(chunks for _, chunks in later)).difference(known)))
            self._remember(new)
            for n, chunks in later:
                try:
                    rows[n] = b"".join(map(self._known.__getitem__, chunks))[: self._bytes]
                except KeyError:  # too long for the cache, or removed from it by another thread
                    rows[n] = b"".join(new[one] if one in new else known[one] for one in chunks)[: self._bytes]
        return rows

    def _chunks(self, text: str) -> list[str]:
        if not self._splits or any(one in text for one in SEPARATORS):
            return [text]
        return text.split()

    def _encoded(self, chunks: list[str]) -> dict[str, bytes]:
        """The ids of each chunk; the tokenizer gets many at once, because one by one takes ten times as long."""
        try:
            return self._alone(chunks) if self._fence is None else self._fenced(chunks, self._fence)
        except TypeError:
            readable = [chunk.encode("utf-8", "replace").decode("utf-8") for chunk in chunks]
            return dict(zip(chunks, map(self._encoded(readable).__getitem__, readable), strict=True))

    def _alone(self, chunks: list[str]) -> dict[str, bytes]:
        encodings = self._tokenizer.encode_batch_fast(chunks, add_special_tokens=False)
        ids = (np.array(one.ids[: self._max_length], ID).tobytes() for one in encodings)
        return dict(zip(chunks, ids, strict=True))

    def _fenced(self, chunks: list[str], fence: int) -> dict[str, bytes]:
        """The ids of each chunk, from texts in which a special token with the id ``fence`` separates the chunks."""
        plain = [chunk for chunk in chunks if FENCE not in chunk]
        rows = [plain[start : start + TOGETHER] for start in range(0, len(plain), TOGETHER)]
        texts = [f" {FENCE} ".join(row) for row in rows]
        found: dict[str, bytes] = {}
        for row, one in zip(rows, self._tokenizer.encode_batch_fast(texts, add_special_tokens=False), strict=True):
            ids = np.array(one.ids, ID)
            ends = [*(np.flatnonzero(ids == fence) * ID.itemsize).tolist(), ids.nbytes]
            starts = [0, *(end + ID.itemsize for end in ends[:-1])]
            spans, content = zip(row, starts, ends, strict=True), ids.tobytes()
            found.update((chunk, content[start : min(end, start + self._bytes)]) for chunk, start, end in spans)
        return found | self._alone([chunk for chunk in chunks if FENCE in chunk])

    def _remember(self, new: dict[str, bytes]) -> None:
        short = {chunk: ids for chunk, ids in new.items() if len(chunk) <= LONGEST}
        with self._lock:
            if len(self._known) + len(short) > LIMIT:
                self._known = dict(self._common)  # a new dictionary, because another thread may read the old one
                short = dict(islice(short.items(), LIMIT - len(self._known)))
            self._known.update(short)


def commonest(texts: Iterable[str], count: int) -> list[str]:
    """The ``count`` most frequent chunks of ``texts``, the most frequent first."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text.split())
    return [chunk for chunk, _ in counts.most_common(count) if len(chunk) <= LONGEST]


def _head(text: str, length: int) -> str:
    """The text up to the last space in its first ``length`` characters; no word piece spans a space."""
    if len(text) <= length:
        return text
    end = text.rfind(" ", 0, length)
    return text[:end] if end > 0 else text
