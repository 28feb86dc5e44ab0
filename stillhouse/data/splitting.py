"""Splitting off what a source lacks of train, validation and test, and taking labels away where few are asked for.

A text's split hangs on the text and the seed alone (as in A. Géron, "Hands-On Machine Learning", and TensorFlow
Datasets' hashed splits): when rows are added, no text that a champion learnt from becomes one that it is tested on.
"""

from collections.abc import Collection, Sequence

import numpy as np
from datasets import Dataset

from stillhouse.data.keys import drawn
from stillhouse.data.splits import TELLING, Split
from stillhouse.errors import BadInput
from stillhouse.params import Data

BATCH = 1000
HELD_OUT = 100  # texts without a label that no student learns from, at most
HELD_OUT_SHARE = 10  # one text of so many, at most


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
    if not len(splits["test"].rows):
        raise BadInput(
            f"{len(part)} rows in {len(np.unique(whole.labels))} classes are too few to split off test "
            f"(data.test_fraction: {data.test_fraction}). Add rows, or bring a file test.*."
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
    halves = [kept[learnt], kept[~learnt]]
    left = {name: _of(part, half) for name, part, half in zip(("train", "validation"), parts, halves, strict=True)}
    return splits | left, [_of(part, ~half) for part, half in zip(parts, halves, strict=True)]


def train_on_all(splits: dict[str, Split], unlabelled: int) -> dict[str, Split]:
    """Move the labelled texts of validation to train, and leave validation empty, where they are fewer than 100.

    So few texts cannot show which of two models is better, but they are labels to learn from. They stay where fewer
    than 100 texts have no label, which could be held out instead, and where the source brings its own validation texts.

    Args:
        splits: with ``train`` and ``validation``, rows of the same data set unless the source brings both.
        unlabelled: texts without a label.
    """
    train, validation = splits["train"], splits["validation"]
    if train.dataset is not validation.dataset or len(validation.rows) >= TELLING or unlabelled < TELLING:
        return splits
    rows = np.concatenate([train.rows, validation.rows])
    labels = np.concatenate([train.labels, validation.labels])
    order = np.argsort(rows, kind="stable")
    whole = Split(train.dataset, rows[order], labels[order])
    return splits | {"train": whole, "validation": _of(validation, np.zeros(len(validation.rows), bool))}


def hold_out(
    parts: Sequence[tuple[Dataset, np.ndarray]], seed: int
) -> tuple[list[tuple[Dataset, np.ndarray]], list[tuple[Dataset, np.ndarray]]]:
    """Draw at most 100 texts without a label, and at most a tenth of them, that no model learns from.

    Args:
        parts: data sets with the column ``text`` and the rows that have no label.
        seed: of the draw.

    Returns:
        What is left of ``parts``, and the drawn rows of each.
    """
    sizes = [len(rows) for _, rows in parts]
    chosen = np.zeros(sum(sizes), bool)
    chosen[np.random.default_rng(seed).permutation(len(chosen))[: min(HELD_OUT, len(chosen) // HELD_OUT_SHARE)]] = True
    masks = np.split(chosen, np.cumsum(sizes)[:-1]) if parts else []
    left = [(dataset, rows[~mask]) for (dataset, rows), mask in zip(parts, masks, strict=True)]
    return left, [(dataset, rows[mask]) for (dataset, rows), mask in zip(parts, masks, strict=True)]


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
