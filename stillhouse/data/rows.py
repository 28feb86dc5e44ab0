"""The usable rows of a source, as arrays: row numbers, and labels as numbers. The texts stay on disk."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from datasets import Dataset

from stillhouse.data.duplicates import TextKeys
from stillhouse.data.readers import may_lack_labels
from stillhouse.data.source import Source
from stillhouse.errors import BadInput
from stillhouse.params import Data

BATCH = 1000
MAX_LISTED = 8
NOTHING = 0  # the number of "", which is no label


@dataclass(frozen=True)
class Rows:
    """Rows of a split, int64 (rows,), and the number of each row's label in ``names``, int32 (rows,)."""

    rows: np.ndarray
    codes: np.ndarray
    names: list[str]

    @property
    def labels(self) -> set[str]:
        """The labels that occur; "" is no label."""
        return {self.names[code] for code in np.unique(self.codes)}

    def where(self, chosen: np.ndarray) -> "Rows":
        """Return the rows where ``chosen`` (rows,) is true."""
        return Rows(self.rows[chosen], self.codes[chosen], self.names)

    def having(self, labels: Collection[str]) -> np.ndarray:
        """Whether the label of each row is one of ``labels``, boolean (rows,)."""
        found: np.ndarray = np.array([name in labels for name in self.names], bool)[self.codes]
        return found

    def first(self, labels: Collection[str]) -> tuple[int, str]:
        """Return the first row whose label is one of ``labels``, and its label."""
        place = int(np.flatnonzero(self.having(labels))[0])
        return int(self.rows[place]), self.names[self.codes[place]]


@dataclass(frozen=True)
class Usable:
    """The rows of a source that remain.

    Attributes:
        splits: of each split, in the order test, validation, train.
        dropped: for each split the number of dropped rows by reason.
        unlabelled: of the source's texts without labels, int64.
        nameless: of train, with a text and no label, beside rows with a label; int64.
    """

    splits: dict[str, Rows]
    dropped: dict[str, dict[str, int]]
    unlabelled: np.ndarray
    nameless: np.ndarray


def usable_rows(source: Source, data: Data) -> Usable:
    """Drop rows without text or label, and repeated texts. Rows of train without label are set apart.

    Raises:
        BadInput: empty texts or labels (unless ``data.empty_texts`` drops them); a split without a remaining row.
    """
    names, keys = {"": NOTHING}, TextKeys()
    order = sorted(source.splits, key=["test", "validation", "train"].index)
    read = {split: _read_split(source, split, data, names, keys) for split in order}
    known = len(keys)
    nameless = _nameless_rows(source.splits["train"], read["train"][0], data)
    nameless = nameless[_with_text(source.splits["train"].select(nameless), keys)]
    further = len(keys)
    unlabelled = _with_text(source.unlabelled, keys) if source.unlabelled is not None else np.zeros(0, np.int64)
    codes = np.concatenate([codes for _, codes in read.values()])
    first, splits, dropped, start = keys.first(), {}, {}, 0
    for split, (rows, own) in read.items():
        equal, empty = first[start : start + len(rows)], len(source.splits[split]) - len(rows)
        empty -= further - known if split == "train" else 0
        repeated = (equal < np.arange(start, start + len(rows))) & (data.duplicates == "drop")
        before, now = codes[equal[repeated]], own[repeated]
        same = int(((now == NOTHING) | (before == now) | (before == NOTHING)).sum())
        dropped[split] = {"empty": empty, "duplicate": same, "duplicate with another label": len(now) - same}
        splits[split] = Rows(rows[~repeated], own[~repeated], list(names))
        start += len(rows)
        if repeated.all():
            without = {"without label": len(nameless)} if split == "train" and len(nameless) else {}
            raise BadInput(f"{source.names[split]}: no row is left after cleaning ({dropped[split] | without}).")
    new = first == np.arange(len(first), dtype=first.dtype)
    return Usable(splits, dropped, unlabelled[new[further:]], nameless[new[known:further]])


def _read_split(
    source: Source, split: str, data: Data, names: dict[str, int], keys: TextKeys
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of a split that have a text and the label that they need, and the numbers of their labels.

    Args:
        source: the source.
        split: its split.
        data: the settings.
        names: the number of each label; gets the new ones.
        keys: gets the texts.
    """
    dataset, optional, start = source.splits[split], may_lack_labels(data, split), 0
    codes, usable = np.zeros(len(dataset), np.int32), np.zeros(len(dataset), bool)
    for batch in dataset.iter(batch_size=BATCH):
        texts, used = batch["text"], []
        for place, given in enumerate(batch.get("label", [None] * len(texts)), start=start):
            text, label = texts[place - start], (given or "").strip()
            if text and text.strip() and (label or optional):
                codes[place], usable[place] = names.setdefault(label, len(names)), True
                used.append(text)
        keys.add(used)
        start += len(texts)
    rows, empty = np.flatnonzero(usable), np.flatnonzero(~usable)
    if len(empty) and data.empty_texts == "error":
        named = ", ".join(str(source.number(split, int(row))) for row in empty[:MAX_LISTED])
        raise BadInput(
            f"{source.names[split]}: {len(empty)} of {start} rows have no text or no label (rows {named}"
            f"{', ...' if len(empty) > MAX_LISTED else ''}). Correct them, or set data.empty_texts: drop, "
            "with which texts of train without a label are used as such."
        )
    return rows, codes[rows]


def _nameless_rows(train: Dataset, usable: np.ndarray, data: Data) -> np.ndarray:
    """Return the other rows of train if these may lack a text or a label, int64."""
    if data.empty_texts == "error" or may_lack_labels(data, "train"):
        return np.zeros(0, np.int64)
    return np.setdiff1d(np.arange(len(train)), usable, assume_unique=True)


def _with_text(texts: Dataset, keys: TextKeys) -> np.ndarray:
    """Return the rows with a text, int64. Adds the texts to ``keys``."""
    usable = np.zeros(len(texts), bool)
    for start in range(0, len(texts), BATCH):
        some = texts[start : start + BATCH]["text"]
        usable[start : start + BATCH] = [bool(text and text.strip()) for text in some]
        keys.add(text for text in some if text and text.strip())
    return np.flatnonzero(usable)
