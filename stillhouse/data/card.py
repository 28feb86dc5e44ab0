"""The data card: number and length of texts, label balance, dropped rows."""

from typing import Any

import numpy as np

from stillhouse.data.splits import Split
from stillhouse.data.terms import words_of
from stillhouse.task import TASK

QUANTILES = {"shortest": 0.0, "median": 0.5, "95 %": 0.95, "longest": 1.0}


def data_card(
    splits: dict[str, Split],
    label_names: list[str],
    unseen: list[str],
    dropped: dict[str, dict[str, int]],
    unlabelled: int,
    held_out: int,
    formats: dict[str, dict[str, str]] | None = None,
    added_labels: dict[str, int] | None = None,
) -> dict[str, Any]:
    """Return counts, lengths in words and label balance of each split, ready for JSON.

    Args:
        splits: ``train``, ``validation`` and ``test``.
        label_names: the classes, by class number.
        unseen: labels of the test set that train lacks. Their numbers follow those of ``label_names``.
        dropped: for each split the number of dropped rows by reason.
        unlabelled: number of texts without a label.
        held_out: number of texts without a label that no model learns from.
        formats: for each file its encoding, delimiter and so on.
        added_labels: numbers of labels that people added (:class:`~.added.WithAdded`).
    """
    optional = {"files": formats, "added_labels": added_labels if any((added_labels or {}).values()) else None}
    return {
        "classes": len(label_names),
        "splits": {name: _describe(splits[name], [*label_names, *unseen]) for name in ("train", "validation", "test")},
        "labels_not_in_train": unseen,
        "unlabelled": unlabelled,
        "held_out": held_out,
        "dropped": dropped,
    } | {name: content for name, content in optional.items() if content}


def _describe(split: Split, label_names: list[str]) -> dict[str, Any]:
    words: list[int] = []
    for start in range(0, len(split.rows), 1000):
        texts = split.dataset[split.rows[start : start + 1000].tolist()]["text"]
        words.extend(len(words_of(text)) for text in texts)
    words = words or [0]
    counts = np.bincount(split.labels[~TASK.unlabelled(split.labels)], minlength=len(label_names))
    return {
        "rows": len(split.rows),
        "words": {name: int(np.quantile(words, q, method="nearest")) for name, q in QUANTILES.items()},
        "labels": {name: int(count) for name, count in zip(label_names, counts, strict=True)},
    }
