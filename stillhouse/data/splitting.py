"""Splits off missing validation and test sets, removes labels if few are wanted, and holds out unlabelled texts.

The split of a text depends on the text and the seed alone (as in A. Géron, "Hands-On Machine Learning", and TensorFlow
Datasets' hashed splits). So when rows are added, no training text of a champion becomes a test text.
"""

from collections.abc import Collection, Sequence

import numpy as np
from datasets import Dataset

from stillhouse.data.keys import uniform_hash
from stillhouse.data.splits import MIN_TEXTS, Split
from stillhouse.errors import BadInput
from stillhouse.params import Data
from stillhouse.task import TASK

BATCH = 1000
TRAIN, VALIDATION, TEST = range(3)  # the split of a text, in an array
HELD_OUT = 100  # most texts without a label that are held out
HELD_OUT_SHARE = 10  # at most one text in so many is held out


def complete(splits: dict[str, Split], data: Data, seed: int) -> dict[str, Split]:
    """Split off the test and validation sets that the source lacks, by a seeded hash of each text.

    The sizes differ from the configured fractions by chance. Every class has a text in train. A class of two texts or
    more has one in test. A class with four texts or more outside of test has one in validation. For these rules texts
    of a small class may move. Otherwise the split of a text does not depend on other texts.

    Raises:
        BadInput: there are too few texts.
    """
    splits = dict(splits)
    whole = splits["train"]
    numbers = _hashes([whole], seed, "split")
    part = np.full(len(numbers), TRAIN, np.int8)
    if "validation" not in splits:
        part[numbers >= 1 - data.validation_fraction] = VALIDATION
    if "test" not in splits:
        part[numbers < data.test_fraction] = TEST
    for name in np.unique(whole.labels):
        _cover_class(part, np.flatnonzero(whole.labels == name), numbers, splits.keys())
    for name, number in (("test", TEST), ("validation", VALIDATION)):
        if name not in splits:
            splits[name] = _subset(whole, part == number)
    if not len(splits["test"].rows):
        raise BadInput(
            f"{len(part)} rows in {len(np.unique(whole.labels))} classes are too few to split off test "
            f"(data.test_fraction: {data.test_fraction}). Add rows, or a file test.*."
        )
    return splits | {"train": _subset(whole, part == TRAIN)}


def _cover_class(part: np.ndarray, rows: np.ndarray, numbers: np.ndarray, given: Collection[str]) -> None:
    """Move texts of one class until train has one, then test, then validation.

    Texts whose hash is nearest to the border between two splits move first. Splits in ``given`` come from the source.
    """
    ordered = rows[np.argsort(numbers[rows], kind="stable")]
    if not (part[rows] == TRAIN).any():
        inner = [row for row in ordered if part[row] == TEST] or list(ordered)
        part[inner[-1]] = TRAIN
    if "test" not in given and len(rows) >= 2 and not (part[rows] == TEST).any():
        part[next(row for row in ordered if part[row] != TRAIN or (part[rows] == TRAIN).sum() > 1)] = TEST
    others = rows[part[rows] != TEST]
    if "validation" not in given and len(others) >= 4 and not (part[rows] == VALIDATION).any():
        part[others[np.argmax(numbers[others])]] = VALIDATION


def few_labels(splits: dict[str, Split], per_class: int | None, seed: int) -> tuple[dict[str, Split], list[Split]]:
    """Keep the labels of ``per_class`` texts of each class, selected by a hash of the text; None keeps all, 0 none.

    The texts come from train and validation together: a project with few labels has few for validation, too.

    Returns:
        The splits, and the texts of train and of validation that lost their label. Without labels for training, a test
        set with labels also loses its texts without one to them.
    """
    if per_class is None:
        return splits, []
    if per_class == 0:
        return _no_labels(splits)
    parts = [splits["train"], splits["validation"]]
    labels = np.concatenate([part.labels for part in parts])
    numbers = _hashes(parts, seed, "labels")
    is_train = np.arange(len(labels)) < len(parts[0].labels)
    labelled = np.zeros(len(labels), bool)
    for name in np.unique(labels):
        rows = np.flatnonzero(labels == name)
        labelled[_select(rows[np.argsort(numbers[rows], kind="stable")], is_train, per_class)] = True
    halves = [labelled[is_train], labelled[~is_train]]
    del labels, numbers  # the new splits need their memory
    remaining = {
        name: _subset(part, half) for name, part, half in zip(("train", "validation"), parts, halves, strict=True)
    }
    return splits | remaining, [_subset(part, ~half) for part, half in zip(parts, halves, strict=True)]


def _no_labels(splits: dict[str, Split]) -> tuple[dict[str, Split], list[Split]]:
    test = splits["test"]
    unknown = TASK.unlabelled(test.labels)
    moved = np.zeros(len(unknown), bool) if unknown.all() else unknown
    nameless = [splits["train"], splits["validation"], _subset(test, moved)]
    emptied = {name: _subset(splits[name], np.zeros(len(splits[name].rows), bool)) for name in ("train", "validation")}
    return splits | emptied | {"test": _subset(test, ~moved)}, nameless


def train_on_all(splits: dict[str, Split], unlabelled: int) -> dict[str, Split]:
    """Move the validation texts to train if there are fewer than 100 of them. Validation is then empty.

    So few texts cannot show which of two models is better, but a model can learn from their labels. They stay in
    validation in two cases: the source has its own validation texts, or fewer than 100 texts have no label, which is
    too few to hold out instead.

    Args:
        splits: with ``train`` and ``validation``, rows of the same data set unless the source has both.
        unlabelled: number of texts without a label.
    """
    train, validation = splits["train"], splits["validation"]
    if train.dataset is not validation.dataset or len(validation.rows) >= MIN_TEXTS or unlabelled < MIN_TEXTS:
        return splits
    rows = np.concatenate([train.rows, validation.rows])
    labels = np.concatenate([train.labels, validation.labels])
    order = np.argsort(rows, kind="stable")
    whole = Split(train.dataset, rows[order], labels[order])
    return splits | {"train": whole, "validation": _subset(validation, np.zeros(len(validation.rows), bool))}


def hold_out(
    parts: Sequence[tuple[Dataset, np.ndarray]], seed: int
) -> tuple[list[tuple[Dataset, np.ndarray]], list[tuple[Dataset, np.ndarray]]]:
    """Hold out texts without a label that no model learns from: at most 100, and at most a tenth.

    Args:
        parts: data sets with the column ``text`` and the rows that have no label.
        seed: of the random choice.

    Returns:
        The other rows of ``parts``, and the held-out rows of each part.
    """
    sizes = [len(rows) for _, rows in parts]
    chosen = np.zeros(sum(sizes), bool)
    order = np.arange(len(chosen), dtype=np.int32)  # half the memory of rng.permutation, in the same order
    np.random.default_rng(seed).shuffle(order)
    chosen[order[: min(HELD_OUT, len(chosen) // HELD_OUT_SHARE)]] = True
    del order
    masks = np.split(chosen, np.cumsum(sizes)[:-1]) if parts else []
    left = [(dataset, rows[~mask]) for (dataset, rows), mask in zip(parts, masks, strict=True)]
    return left, [(dataset, rows[mask]) for (dataset, rows), mask in zip(parts, masks, strict=True)]


def _select(ordered: np.ndarray, is_train: np.ndarray, count: int) -> np.ndarray:
    """Return the first ``count`` rows of a class, at least one of train; of two or more, at least one of validation."""
    train, validation = ordered[is_train[ordered]], ordered[~is_train[ordered]]
    share = int((~is_train[ordered[:count]]).sum())
    wanted = min(max(share, 1 if count > 1 else 0), len(validation), count - 1)
    return np.concatenate([train[: count - wanted], validation[:wanted]])


def _hashes(splits: Sequence[Split], seed: int, purpose: str) -> np.ndarray:
    """Return the uniform hash of each text, float64 of shape ``(rows of all splits,)``."""
    numbers, place = np.empty(sum(len(split.rows) for split in splits)), 0
    for split in splits:
        for start in range(0, len(split.rows), BATCH):
            texts = split.dataset[split.rows[start : start + BATCH].tolist()]["text"]
            numbers[place : place + len(texts)] = [uniform_hash(text, seed, purpose) for text in texts]
            place += len(texts)
    return numbers


def _subset(split: Split, chosen: np.ndarray) -> Split:
    return Split(split.dataset, split.rows[chosen], split.labels[chosen])
