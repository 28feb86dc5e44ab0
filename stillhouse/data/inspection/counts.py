"""Counts what the stage ``prepare`` finds in a source: texts, classes, duplicates, empty rows, lengths."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import Dataset

from stillhouse.data.cleaning import clean
from stillhouse.data.source import Source
from stillhouse.data.sources import load_source
from stillhouse.data.splitting import complete
from stillhouse.params import Data

BATCH = 1000
FEW_TEXTS = 5  # of a class; fewer are too few to learn it well


@dataclass(frozen=True)
class Counts:
    """The numbers of a source, before and after cleaning.

    Attributes:
        rows: for each split of the source the number of its rows.
        blank: rows without a text.
        unlabelled: rows with a text but without a label, in splits with a label column.
        dropped: rows that cleaning drops, by reason. Its ``empty`` are ``blank``, and ``unlabelled`` outside of train.
        classes: for each class the number of its texts after cleaning, in all splits; the largest first.
        texts: for each split that ``prepare`` makes the number of its texts.
        without_labels: usable texts without labels: those of the split for them, and rows of train.
        lengths: characters of each text of train, int64 of shape ``(rows,)``.
        total_bytes: of all texts, in UTF-8.
        train: the rows of train, with the column ``text``.
        formats: a line for each file with its format.
    """

    rows: dict[str, int]
    blank: int
    unlabelled: int
    dropped: dict[str, int]
    classes: dict[str, int]
    texts: dict[str, int]
    without_labels: int
    lengths: np.ndarray
    total_bytes: int
    train: Dataset
    formats: dict[str, dict[str, str]]

    @property
    def rare(self) -> list[str]:
        """Classes with fewer than ``FEW_TEXTS`` texts."""
        return [name for name, number in self.classes.items() if number < FEW_TEXTS]


def count(data: Data, seed: int, cache: Path) -> Counts:
    """Read and clean the source as the stage ``prepare`` does, but drop empty rows.

    Args:
        data: the section ``data`` with the new source.
        seed: of the split into train, validation and test.
        cache: a folder for Arrow files with all texts; the result's ``train`` reads them.

    Raises:
        BadInput: the stage ``prepare`` would refuse the source.
        Unavailable: the hub does not answer.
    """
    source = load_source(data, cache)
    blank, unlabelled = _empty(source)
    cleaned = clean(source, data.model_copy(update={"empty_texts": "drop"}))
    names = np.array([*cleaned.label_names, *cleaned.unseen])
    labels = np.concatenate([split.labels for split in cleaned.splits.values()])
    numbers = np.bincount(labels[labels >= 0], minlength=len(names))
    classes = {str(names[place]): int(numbers[place]) for place in np.argsort(-numbers, kind="stable")}
    dropped: Counter[str] = Counter()
    for reasons in cleaned.dropped.values():
        dropped.update(reasons)
    completed = complete(cleaned.splits, data, seed)
    train = source.splits["train"].select_columns("text")
    extra = [source.unlabelled] if source.unlabelled is not None else []
    return Counts(
        rows={name: len(split) for name, split in source.splits.items()},
        blank=blank,
        unlabelled=unlabelled,
        dropped=dict(dropped),
        classes=classes,
        texts={name: len(completed[name].rows) for name in ("train", "validation", "test")},
        without_labels=len(cleaned.unlabelled) + len(cleaned.nameless),
        lengths=np.array([len(text or "") for batch in train.iter(BATCH) for text in batch["text"]], np.int64),
        total_bytes=sum(_bytes(split) for split in [*source.splits.values(), *extra]),
        train=train,
        formats={source.names[split]: settings for split, settings in source.formats.items() if split in source.names},
    )


def _empty(source: Source) -> tuple[int, int]:
    """Return the number of rows without a text, and of rows with a text alone in splits with labels."""
    blank = unlabelled = 0
    for split in source.splits.values():
        for batch in split.iter(BATCH):
            labels = batch.get("label")
            for place, text in enumerate(batch["text"]):
                if not (text and text.strip()):
                    blank += 1
                elif labels is not None and not (labels[place] or "").strip():
                    unlabelled += 1
    return blank, unlabelled


def _bytes(split: Dataset) -> int:
    return sum(len((text or "").encode()) for batch in split.iter(BATCH) for text in batch["text"])
