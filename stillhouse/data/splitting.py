"""Splitting off what a source lacks of train, validation and test, and taking labels away where few are asked for.

A text's split hangs on the text and the seed alone (as in A. Géron, "Hands-On Machine Learning", and TensorFlow
Datasets' hashed splits): when rows are added, no text that a champion learnt from becomes one that it is tested on.
"""

from collections.abc import Collection

import numpy as np

from stillhouse.data.keys import drawn
from stillhouse.data.splits import Split
from stillhouse.errors import BadInput
from stillhouse.params import Data

BATCH = 1000


def complete(splits: dict[str, Split], data: Data, seed: int) -> dict[str, Split]:
    """Split off the test and validation sets that the source does not bring, by a seeded hash of each text.

    The sizes are those asked for up to chance. Every class keeps a text in train, has one in test if it has two,
    and one in validation if it has four besides; only for that do texts of a tiny class depend on each other.

    Raises:
        BadInput: there are too few texts for the asked sets.
    """
    splits = dict(splits)
    whole = splits["train"]
    numbers = _draw(whole, seed, "split")
    part = np.full(len(numbers), "train", dtype=object)
    if "validation" not in splits:
        part[numbers >= 1 - data.validation_fraction] = "validation"
    if "test" not in splits:
        part[numbers < data.test_fraction] = "test"
    for name in np.unique(whole.labels):
        _provide(part, np.flatnonzero(whole.labels == name), numbers, splits.keys())
    for name in ("test", "validation"):
        if name not in splits:
            splits[name] = _of(whole, part == name)
            if not len(splits[name].rows):
                raise BadInput(
                    f"{len(part)} rows in {len(np.unique(whole.labels))} classes are too few to split off {name} "
                    f"(data.{name}_fraction: {getattr(data, f'{name}_fraction')}). Add rows, or bring a file {name}.*."
                )
    return splits | {"train": _of(whole, part == "train")}


def _provide(part: np.ndarray, rows: np.ndarray, numbers: np.ndarray, brought: Collection[str]) -> None:
    """Move texts of one class, those nearest to the border, until train has one, then test, then validation."""
    ordered = rows[np.argsort(numbers[rows], kind="stable")]
    if not (part[rows] == "train").any():
        inner = [row for row in ordered if part[row] == "test"] or list(ordered)
        part[inner[-1]] = "train"
    if "test" not in brought and len(rows) >= 2 and not (part[rows] == "test").any():
        part[next(row for row in ordered if part[row] != "train" or (part[rows] == "train").sum() > 1)] = "test"
    learnt = rows[part[rows] != "test"]
    if "validation" not in brought and len(learnt) >= 4 and not (part[rows] == "validation").any():
        part[learnt[np.argmax(numbers[learnt])]] = "validation"


def few_labels(splits: dict[str, Split], per_class: int | None, seed: int) -> tuple[dict[str, Split], list[Split]]:
    """Keep the labels of ``per_class`` texts of each class, drawn by a hash of the text; None keeps all.

    They are drawn from train and validation together, since whoever has few labels has few to validate with, too.

    Returns:
        The splits, and the texts of train and of validation that lost their label.

    Raises:
        BadInput: no label would be left to validate with.
    """
    if per_class is None:
        return splits, []
    parts = [splits["train"], splits["validation"]]
    labels = np.concatenate([part.labels for part in parts])
    numbers = np.concatenate([_draw(part, seed, "labels") for part in parts])
    learnt = np.arange(len(labels)) < len(parts[0].labels)
    kept = np.zeros(len(labels), bool)
    for name in np.unique(labels):
        rows = np.flatnonzero(labels == name)
        kept[_chosen(rows[np.argsort(numbers[rows], kind="stable")], learnt, per_class)] = True
    if not (kept & ~learnt).any():
        raise BadInput(
            f"data.labels_per_class: {per_class} leaves no label in validation. Raise it, or data.validation_fraction."
        )
    halves = [kept[learnt], kept[~learnt]]
    left = {name: _of(part, half) for name, part, half in zip(("train", "validation"), parts, halves, strict=True)}
    return splits | left, [_of(part, ~half) for part, half in zip(parts, halves, strict=True)]


def _chosen(ordered: np.ndarray, learnt: np.ndarray, count: int) -> np.ndarray:
    """The first ``count`` rows of a class, but one of train among them, and of two or more one of validation."""
    train, validation = ordered[learnt[ordered]], ordered[~learnt[ordered]]
    share = int((~learnt[ordered[:count]]).sum())
    wanted = min(max(share, 1 if count > 1 else 0), len(validation), count - 1)
    return np.concatenate([train[: count - wanted], validation[:wanted]])


def _draw(split: Split, seed: int, purpose: str) -> np.ndarray:
    """The number that each text draws, float64 of shape ``(rows,)``."""
    numbers = np.empty(len(split.rows))
    for start in range(0, len(split.rows), BATCH):
        texts = split.dataset[split.rows[start : start + BATCH].tolist()]["text"]
        numbers[start : start + BATCH] = [drawn(text, seed, purpose) for text in texts]
    return numbers


def _of(split: Split, chosen: np.ndarray) -> Split:
    return Split(split.dataset, split.rows[chosen], split.labels[chosen])
