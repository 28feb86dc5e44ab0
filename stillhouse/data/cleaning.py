"""Cleaning: selects the usable rows of a source and gives each a class number."""

import ast
import contextlib
import json
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from datasets import Dataset

from stillhouse.data.keys import text_key
from stillhouse.data.readers import may_lack_labels
from stillhouse.data.readers.values import NESTED, number_name
from stillhouse.data.source import Source
from stillhouse.data.splits import Split
from stillhouse.errors import BadInput, listed
from stillhouse.params import Data
from stillhouse.task import TASK

BATCH = 1000
MAX_LISTED = 8
Remaining = dict[str, tuple[list[int], list[str]]]  # for each split the remaining rows and their labels


@dataclass
class Cleaned:
    """The result of :func:`clean`.

    Attributes:
        splits: the remaining rows of each split.
        label_names: the classes, by class number.
        unseen: labels of the test set that train lacks. Their class numbers follow those of ``label_names``.
        dropped: for each split the number of dropped rows by reason.
        unlabelled: remaining rows of the source's texts without labels, int64 of shape ``(rows,)``.
        nameless: such rows of ``train``, beside rows with a label.
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
    in several splits. With ``data.empty_texts: drop``, rows without text are dropped, and rows without label, but
    those of train are texts without labels. With ``data.unseen_labels: keep``, validation rows whose label is not in
    train are dropped; such test rows stay.
    Memory: about 150 bytes a row. The texts stay on disk.

    Raises:
        BadInput: empty texts or labels (unless ``data.empty_texts`` drops them); a split without a remaining row; a
            label that is a list or an object; validation or test without any label of train; labels in validation or
            test that train lacks (unless ``data.unseen_labels`` keeps them); a label that is not in ``data.classes``;
            or fewer than two classes.
    """
    remaining: Remaining = {}
    dropped: dict[str, dict[str, int]] = {}
    seen: dict[bytes, str] = {}
    nameless: list[int] = []
    for split in sorted(source.splits, key=["test", "validation", "train"].index):
        remaining[split], dropped[split] = _clean_split(source, split, data, seen, nameless)
    _refuse_label_lists(source, remaining)
    if data.classes is not None:
        _refuse_other_classes(source, remaining, data.classes)
    present = set(data.classes or remaining["train"][1])
    unseen: dict[str, list[str]] = {
        split: [label for label in remaining[split][1] if label and label not in present]
        for split in ("validation", "test")
        if split in remaining
    }
    for split in unseen:
        if any(remaining[split][1]) and not present.intersection(remaining[split][1]):
            _refuse_disjoint_labels(source, split, remaining, present)
    if data.unseen_labels == "error":
        _refuse_unseen(source, remaining, unseen)
    if unknown := unseen.get("validation"):  # no model can predict these labels, so they do not help to choose a model
        dropped["validation"]["label not in train"] = len(unknown)
        rows, labels = remaining["validation"]
        pairs = [(row, label) for row, label in zip(rows, labels, strict=True) if label in present]
        remaining["validation"] = ([row for row, _ in pairs], [label for _, label in pairs])
    names = list(data.classes or (name for name in source.label_order or _ordered(present) if name in present))
    _check_classes(source, names, dropped["train"].get("duplicate with another label", 0))
    test_only = _ordered(set(unseen.get("test", [])))
    splits = {
        split: Split(
            source.splits[split],
            np.array(rows, dtype=np.int64),
            _class_numbers(labels, [*names, *test_only]),
        )
        for split, (rows, labels) in remaining.items()
    }
    reasons = {split: dropped[split] for split in splits}
    usable = _unlabelled_rows(source.splits["train"].select(nameless), seen)
    nameless_rows = np.array(nameless, dtype=np.int64)[usable]
    return Cleaned(splits, names, test_only, reasons, _unlabelled_rows(source.unlabelled, seen), nameless_rows)


def _class_numbers(labels: list[str], names: list[str]) -> np.ndarray:
    """Encode labels; an empty string is a text without a label."""
    known = np.array([bool(label) for label in labels], dtype=bool)
    numbers = TASK.no_labels(len(labels))
    numbers[known] = TASK.encode([label for label in labels if label], names)
    return numbers


def _unlabelled_rows(unlabelled: Dataset | None, seen: dict[bytes, str]) -> np.ndarray:
    """Return the rows whose text is in no split and not in an earlier row. Adds the texts to ``seen``."""
    if unlabelled is None:
        return np.zeros(0, np.int64)
    rows: list[int] = []
    for start in range(0, len(unlabelled), BATCH):
        for row, text in enumerate(unlabelled[start : start + BATCH]["text"], start=start):
            if text and text.strip() and (key := text_key(text)) not in seen:
                seen[key] = ""
                rows.append(row)
    return np.array(rows, dtype=np.int64)


def _clean_split(
    source: Source, split: str, data: Data, seen: dict[bytes, str], nameless: list[int]
) -> tuple[tuple[list[int], list[str]], dict[str, int]]:
    """Return the remaining rows and labels, and the numbers of dropped rows. Extends ``seen`` and ``nameless``."""
    rows: list[int] = []
    labels: list[str] = []
    empty: list[int] = []
    dropped = Counter({"empty": 0, "duplicate": 0, "duplicate with another label": 0})
    index = -1
    optional = may_lack_labels(data, split)
    for batch in source.splits[split].iter(batch_size=BATCH):
        for text, given in zip(batch["text"], batch.get("label", [None] * len(batch["text"])), strict=True):
            index += 1
            label = (given or "").strip()
            if not (text and text.strip()) or not (label or optional):
                is_text = split == "train" and data.empty_texts == "drop" and bool(text and text.strip())
                (nameless if is_text else empty).append(index)
                continue
            key = text_key(text)
            if data.duplicates == "drop" and key in seen:
                dropped["duplicate" if not label or seen[key] in (label, "") else "duplicate with another label"] += 1
                continue
            seen[key] = label
            rows.append(index)
            labels.append(label)
    if empty and data.empty_texts == "error":
        named = ", ".join(str(source.number(split, row)) for row in empty[:MAX_LISTED])
        raise BadInput(
            f"{source.names[split]}: {len(empty)} of {index + 1} rows have no text or no label (rows {named}"
            f"{', ...' if len(empty) > MAX_LISTED else ''}). Correct them, or set data.empty_texts: drop, "
            "with which texts of train without a label are used as such."
        )
    dropped["empty"] = len(empty)
    if not rows:
        reasons = dict(dropped) | ({"without label": len(nameless)} if nameless else {})
        raise BadInput(f"{source.names[split]}: no row is left after cleaning ({reasons}).")
    return (rows, labels), dict(dropped)


def _refuse_label_lists(source: Source, remaining: Remaining) -> None:
    """Raise BadInput if a label is a list or an object. Labelling tools write several labels this way."""
    for split, (rows, labels) in remaining.items():
        several = {label for label in set(labels) if label[:1] in ("[", "{") and _is_collection(label)}
        for row, label in zip(rows, labels, strict=True) if several else ():
            if label in several:
                raise BadInput(f"{source.row(split, row)}: the label {label[:80]!r} is not one label. {NESTED}")


def _refuse_other_classes(source: Source, remaining: Remaining, classes: Collection[str]) -> None:
    for split, (rows, labels) in remaining.items():
        for row, label in zip(rows, labels, strict=True):
            if label and label not in classes:
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


def _refuse_disjoint_labels(source: Source, split: str, remaining: Remaining, present: set[str]) -> None:
    """Raise BadInput: no label of ``split`` is in train, so every text would count as missed."""
    labels = set(remaining[split][1])
    same_numbers = {number_name(label) for label in labels} & {number_name(label) for label in present}
    why = " The numbers are equal but written differently. Write them in the same form." if same_numbers else ""
    raise BadInput(
        f"{source.names[split]} has no label of train. Its labels: {listed(sorted(labels), MAX_LISTED)}. Labels of "
        f"train: {listed(sorted(present), MAX_LISTED)}."
        f"{why or ' Check the file and data.label_column.'}"
    )


def _refuse_unseen(source: Source, remaining: Remaining, unseen: dict[str, list[str]]) -> None:
    for split, unknown in unseen.items():
        if unknown:
            where = source.row(split, remaining[split][0][remaining[split][1].index(unknown[0])])
            raise BadInput(
                f"{source.names[split]} has labels that train lacks: {', '.join(sorted(set(unknown))[:MAX_LISTED])} "
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
