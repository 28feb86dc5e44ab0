"""Word pieces by look-up: each stretch of text between spaces is tokenized once and remembered.

Needs tokenizers alone. The registered model carries a copy of this file.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from types import MappingProxyType

import numpy as np
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import Whitespace

LIMIT = 100_000  # chunks that are remembered: 25 MB of usual words, 40 MB at most
LONGEST = 40  # characters of a chunk that is remembered
CHARACTERS = 6  # of a word piece, rather too many: so much of a long text is looked at first
# str.split() splits at these, too; in Unicode (and so in tokenizers) they are no spaces.
SEPARATORS = "\x1c\x1d\x1e\x1f"
FENCE = "[PAD]"  # no text has its id, unless it has these very letters
TOGETHER = 256  # chunks that the tokenizer sees as one text
ID = np.dtype(np.int32)


class Chunks:
    """The ids that ``tokenizer`` gives, for texts whose chunks are known without asking it.

    No word piece spans a space, so a text's ids are those of its chunks one after the other. Safe to use from several
    threads: what is remembered is only added to, or replaced as a whole.
    """

    def __init__(
        self, tokenizer: Tokenizer, max_length: int, common: Mapping[str, Sequence[int]] = MappingProxyType({})
    ) -> None:
        """``common`` chunks are known from the start with their ids, and never forgotten."""
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
        """Of each text its first ``max_length`` ids as int32 (``ID``), as if the tokenizer had seen it whole.

        Half of a surrogate pair, as JSON may hold it, is read as a question mark: UTF-8 has no bytes for it.
        """
        length = self._max_length * CHARACTERS
        rows = self._rows([_head(text, length) for text in texts])
        cut = [n for n, row in enumerate(rows) if len(row) < self._bytes and len(texts[n]) > length]
        if cut:
            for n, row in zip(cut, self._rows([texts[n] for n in cut]), strict=True):
                rows[n] = row
        return rows

    def _rows(self, texts: Sequence[str]) -> list[bytes]:
        known = self._known
        rows: list[bytes] = []
        later: list[tuple[int, list[str]]] = []
        for text in texts:
            chunks = self._chunks(text)
            try:
                rows.append(b"".join(map(known.__getitem__, chunks))[: self._bytes])
            except KeyError:
                later.append((len(rows), chunks))
                rows.append(b"")
        if later:
            new = self._encoded(list(set().union(*(chunks for _, chunks in later)).difference(known)))
            self._remember(new)
            for n, chunks in later:
                try:
                    rows[n] = b"".join(map(self._known.__getitem__, chunks))[: self._bytes]
                except KeyError:  # too long to be remembered, or forgotten again
                    rows[n] = b"".join(new[one] if one in new else known[one] for one in chunks)[: self._bytes]
        return rows

    def _chunks(self, text: str) -> list[str]:
        if not self._splits or any(one in text for one in SEPARATORS):
            return [text]
        return text.split()

    def _encoded(self, chunks: list[str]) -> dict[str, bytes]:
        """Asked one by one, chunks cost ten times what their text does; so many are asked at once as one text."""
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
        """With a special token, whose id is ``fence``, between one chunk and the next."""
        plain = [chunk for chunk in chunks if FENCE not in chunk]
        rows = [plain[start : start + TOGETHER] for start in range(0, len(plain), TOGETHER)]
        texts = [f" {FENCE} ".join(row) for row in rows]
        found: dict[str, bytes] = {}
        for row, one in zip(rows, self._tokenizer.encode_batch_fast(texts, add_special_tokens=False), strict=True):
            ids = np.array(one.ids, ID)
            ends = [*(np.flatnonzero(ids == fence) * ID.itemsize).tolist(), ids.nbytes]
            starts = [0, *(end + ID.itemsize for end in ends[:-1])]
            spans, said = zip(row, starts, ends, strict=True), ids.tobytes()
            found.update((chunk, said[start : min(end, start + self._bytes)]) for chunk, start, end in spans)
        return found | self._alone([chunk for chunk in chunks if FENCE in chunk])

    def _remember(self, new: dict[str, bytes]) -> None:
        short = {chunk: ids for chunk, ids in new.items() if len(chunk) <= LONGEST}
        with self._lock:
            if len(self._known) + len(short) > LIMIT:
                self._known = dict(self._common)  # another thread may still read the one before
                short = dict(islice(short.items(), LIMIT - len(self._known)))
            self._known.update(short)


def commonest(texts: Iterable[str], count: int) -> list[str]:
    """The ``count`` most frequent chunks of ``texts``, the most frequent first."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text.split())
    return [chunk for chunk, _ in counts.most_common(count) if len(chunk) <= LONGEST]


def _head(text: str, length: int) -> str:
    """The text up to the last space within ``length`` characters; no word piece spans a space."""
    if len(text) <= length:
        return text
    end = text.rfind(" ", 0, length)
    return text[:end] if end > 0 else text
