"""Cleaning: selects the usable rows of a source and gives each a class number."""

import ast
import contextlib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from stillhouse.data.readers.values import NESTED, number_name
from stillhouse.data.rows import MAX_LISTED, NOTHING, Rows, usable_rows
from stillhouse.data.source import Source
from stillhouse.data.splits import Split
from stillhouse.errors import BadInput, listed
from stillhouse.params import Data
from stillhouse.task import TASK


@dataclass
class Cleaned:
    """The result of :func:`clean`.

    Attributes:
        splits: the remaining rows of each split.
        label_names: the classes, by class number.
        unseen: labels of the test set that train lacks. Their class numbers follow those of ``label_names``.
        dropped: for each split the number of dropped rows by reason.
        unlabelled: remaining rows of the source's texts without labels, int64 of shape ``(rows,)``.
        nameless: rows of ``train`` with a text and no label, beside rows with a label.
    """

    splits: dict[str, Split]
    label_names: list[str]
    unseen: list[str]
    dropped: dict[str, dict[str, int]] = field(default_factory=dict)
    unlabelled: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    nameless: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))


def clean(source: Source, data: Data) -> Cleaned:
    """Select rows, and number the labels.

    The classes are those of ``data.classes`` in this order, or else those of the labels. With ``data.duplicates:
    drop``, one of several texts that differ only in case and white space stays. If a text is in several splits, it
    stays in one: test, else validation, else train. So no test text is a training text. With ``keep``, all stay, also
    in several splits. With ``data.empty_texts: drop``, rows without text or label are dropped, but rows of train with a
    text and no label are texts without labels. With ``data.unseen_labels: keep``, validation rows whose label is not in
    train are dropped; such test rows stay.
    Memory: about 50 bytes a row (:mod:`stillhouse.data.rows`). The texts stay on disk.

    Raises:
        BadInput: empty texts or labels (unless ``data.empty_texts`` drops them); a split without a remaining row; a
            label that is a list or an object; validation or test without any label of train; labels in validation or
            test that train lacks (unless ``data.unseen_labels`` keeps them); a label that is not in ``data.classes``;
            or fewer than two classes.
    """
    usable = usable_rows(source, data)
    remaining, dropped = usable.splits, usable.dropped
    _refuse_label_lists(source, remaining)
    if data.classes is not None:
        _refuse_other_classes(source, remaining, data.classes)
    present = set(data.classes or remaining["train"].labels)
    unseen: dict[str, set[str]] = {
        split: remaining[split].labels - present - {""} for split in ("validation", "test") if split in remaining
    }
    for split in unseen:
        labels = remaining[split].labels
        if labels - {""} and not present & labels:
            _refuse_disjoint_labels(source, split, labels, present)
    if data.unseen_labels == "error":
        _refuse_unseen(source, remaining, unseen)
    if unknown := unseen.get("validation"):  # no model can predict these labels, so they do not help to choose a model
        validation = remaining["validation"]
        dropped["validation"]["label not in train"] = int(validation.having(unknown).sum())
        remaining["validation"] = validation.where(validation.having(present))
    names = list(data.classes or (name for name in source.label_order or _ordered(present) if name in present))
    _check_classes(source, names, dropped["train"].get("duplicate with another label", 0))
    test_only = _ordered(unseen.get("test", set()))
    splits = {
        split: Split(source.splits[split], rows.rows, _class_numbers(rows, [*names, *test_only]))
        for split, rows in remaining.items()
    }
    return Cleaned(splits, names, test_only, dropped, usable.unlabelled, usable.nameless)


def _class_numbers(rows: Rows, names: list[str]) -> np.ndarray:
    """Encode labels; an empty string is a text without a label."""
    used = np.unique(rows.codes)
    used = used[used != NOTHING]
    encoded = TASK.encode([rows.names[code] for code in used], names)
    table = TASK.no_labels(len(rows.names))
    table[used] = encoded
    numbers: np.ndarray = table[rows.codes]
    return numbers


def _refuse_label_lists(source: Source, remaining: dict[str, Rows]) -> None:
    """Raise BadInput if a label is a list or an object. Labelling tools write several labels this way."""
    for split, rows in remaining.items():
        several = {label for label in rows.labels if label[:1] in ("[", "{") and _is_collection(label)}
        if several:
            row, label = rows.first(several)
            raise BadInput(f"{source.row(split, row)}: the label {label[:80]!r} is not one label. {NESTED}")


def _refuse_other_classes(source: Source, remaining: dict[str, Rows], classes: Collection[str]) -> None:
    for split, rows in remaining.items():
        if others := rows.labels - {""} - set(classes):
            row, label = rows.first(others)
            raise BadInput(
                f"{source.row(split, row)}: the label {label[:80]!r} is not in data.classes "
                f"({listed(list(classes), MAX_LISTED)}). Correct it, or add it there."
            )


def _is_collection(label: str) -> bool:
    """Whether ``label`` is a collection in JSON or in Python's notation."""
    for read in (json.loads, ast.literal_eval):
        with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            return isinstance(read(label), (list, dict, set, tuple))
    return False


def _refuse_disjoint_labels(source: Source, split: str, labels: set[str], present: set[str]) -> None:
    """Raise BadInput: no label of ``split`` is in train, so every text would count as missed."""
    same_numbers = {number_name(label) for label in labels} & {number_name(label) for label in present}
    why = " The numbers are equal but written differently. Write them in the same form." if same_numbers else ""
    raise BadInput(
        f"{source.names[split]} has no label of train. Its labels: {listed(sorted(labels), MAX_LISTED)}. Labels of "
        f"train: {listed(sorted(present), MAX_LISTED)}."
        f"{why or ' Check the file and data.label_column.'}"
    )


def _refuse_unseen(source: Source, remaining: dict[str, Rows], unseen: dict[str, set[str]]) -> None:
    for split, unknown in unseen.items():
        if unknown:
            where = source.row(split, remaining[split].first(unknown)[0])
            raise BadInput(
                f"{source.names[split]} has labels that train lacks: {', '.join(sorted(unknown)[:MAX_LISTED])} "
                f"(first at {where}). Correct them, add training rows with these labels, or set "
                "data.unseen_labels: keep, which counts them as missed."
            )


def _check_classes(source: Source, names: list[str], conflicting: int) -> None:
    if len(names) < 2:
        also = f" ({conflicting} rows were dropped because their text also has another label.)" if conflicting else ""
        raise BadInput(
            f"{source.names['train']} has only one class, {names[0]!r}. A classifier needs two or more. Check "
            f"data.label_column.{also}"
        )


def _ordered(labels: set[str]) -> list[str]:
    """Sort ``labels``: integers by value, all others as strings."""
    if all(re.fullmatch("-?[0-9]{1,18}", label) for label in labels):
        return sorted(labels, key=lambda label: (int(label), label))  # 1 and 01 are two labels
    return sorted(labels)
