"""From a source's raw rows to the rows that are kept, each with a class number."""

import ast
import contextlib
import json
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from datasets import Dataset

from stillhouse.data.keys import text_key
from stillhouse.data.readers.values import NESTED, number_name
from stillhouse.data.source import Source
from stillhouse.data.splits import Split
from stillhouse.errors import BadInput, listed
from stillhouse.params import Data
from stillhouse.task import TASK

BATCH = 1000
NAMED_ROWS = 8
Kept = dict[str, tuple[list[int], list[str]]]  # of each split the rows and their labels


@dataclass
class Cleaned:
    """What is left of a source, and what was dropped and why; ``unlabelled`` lists rows of that split.

    ``unseen`` are labels of the test set that train lacks; their class numbers follow those of ``label_names``.
    """

    splits: dict[str, Split]
    label_names: list[str]
    unseen: list[str]
    dropped: dict[str, dict[str, int]] = field(default_factory=dict)
    unlabelled: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))


def clean(source: Source, data: Data) -> Cleaned:
    """Drop what cannot be learnt from, and number the labels.

    Two texts are the same when they differ in nothing but case and white space. Where one stands in two
    splits, the test split keeps it before validation, and validation before train, so that no text that
    is tested on was trained on. Memory: 24 bytes a row; the texts stay on disk.

    Raises:
        BadInput: empty texts or labels (unless ``data.empty_texts`` drops them), labels in validation or
            test that train lacks (unless ``data.unseen_labels`` keeps them), or fewer than two classes.
    """
    kept: Kept = {}
    dropped: dict[str, dict[str, int]] = {}
    seen: dict[bytes, str] = {}
    for split in sorted(source.splits, key=["test", "validation", "train"].index):
        kept[split], dropped[split] = _clean_split(source, split, data, seen)
    _refuse_several(source, kept)
    present = set(kept["train"][1])
    unseen: dict[str, list[str]] = {
        split: [label for label in kept[split][1] if label not in present]
        for split in ("validation", "test")
        if split in kept
    }
    for split in unseen:
        if not present.intersection(kept[split][1]):
            _refuse_strangers(source, split, kept, present)
    if data.unseen_labels == "error":
        _refuse_unseen(source, kept, unseen)
    if unknown := unseen.get("validation"):  # nothing can be chosen by them
        dropped["validation"]["label not in train"] = len(unknown)
        rows, labels = kept["validation"]
        pairs = [(row, label) for row, label in zip(rows, labels, strict=True) if label in present]
        kept["validation"] = ([row for row, _ in pairs], [label for _, label in pairs])
    names = [name for name in source.label_order or _ordered(present) if name in present]
    _check_classes(source, names, dropped["train"].get("duplicate with another label", 0))
    missed = _ordered(set(unseen.get("test", [])))
    splits = {
        split: Split(
            source.splits[split],
            np.array(rows, dtype=np.int64),
            TASK.encode(labels, [*names, *missed]),
        )
        for split, (rows, labels) in kept.items()
    }
    reasons = {split: dropped[split] for split in splits}
    return Cleaned(splits, names, missed, reasons, _new_texts(source.unlabelled, seen))


def _new_texts(unlabelled: Dataset | None, seen: dict[bytes, str]) -> np.ndarray:
    """Rows with a text that stands in no split (least of all in the test split) and not earlier here."""
    rows: list[int] = []
    for start in range(0, len(unlabelled) if unlabelled is not None else 0, BATCH):
        assert unlabelled is not None
        for row, text in enumerate(unlabelled[start : start + BATCH]["text"], start=start):
            if text and text.strip() and (key := text_key(text)) not in seen:
                seen[key] = ""
                rows.append(row)
    return np.array(rows, dtype=np.int64)


def _clean_split(
    source: Source, split: str, data: Data, seen: dict[bytes, str]
) -> tuple[tuple[list[int], list[str]], dict[str, int]]:
    rows: list[int] = []
    labels: list[str] = []
    empty: list[int] = []
    dropped = Counter({"empty": 0, "duplicate": 0, "duplicate with another label": 0})
    index = -1
    for batch in source.splits[split].iter(batch_size=BATCH):
        for text, label in zip(batch["text"], batch["label"], strict=True):
            index += 1
            if not (text and text.strip()) or not (label and label.strip()):
                empty.append(index)
                continue
            label = label.strip()
            key = text_key(text)
            if data.duplicates == "drop" and key in seen:
                dropped["duplicate" if seen[key] == label else "duplicate with another label"] += 1
                continue
            seen[key] = label
            rows.append(index)
            labels.append(label)
    if empty and data.empty_texts == "error":
        named = ", ".join(str(source.number(split, row)) for row in empty[:NAMED_ROWS])
        raise BadInput(
            f"{source.names[split]}: {len(empty)} of {index + 1} rows have no text or no label (rows {named}"
            f"{', ...' if len(empty) > NAMED_ROWS else ''}). Mend them, or set data.empty_texts: drop."
        )
    dropped["empty"] = len(empty)
    if not rows:
        raise BadInput(f"{source.names[split]}: no row is left after cleaning ({dict(dropped)}).")
    return (rows, labels), dict(dropped)


def _refuse_several(source: Source, kept: Kept) -> None:
    """Raise BadInput where a label is a list or an object, as labelling tools export several labels of one text."""
    for split, (rows, labels) in kept.items():
        several = {label for label in set(labels) if label[0] in "[{" and _is_collection(label)}
        for row, label in zip(rows, labels, strict=True) if several else ():
            if label in several:
                raise BadInput(f"{source.row(split, row)}: the label {label[:80]!r} is not one label. {NESTED}")


def _is_collection(label: str) -> bool:
    """JSON, or a list, tuple, set or dictionary as Python writes it."""
    for read in (json.loads, ast.literal_eval):
        with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            return isinstance(read(label), (list, dict, set, tuple))
    return False


def _refuse_strangers(source: Source, split: str, kept: Kept, present: set[str]) -> None:
    """Raise BadInput: no label of ``split`` is one of train, so that every text would count as missed."""
    there = set(kept[split][1])
    numbers = {number_name(label) for label in there} & {number_name(label) for label in present}
    why = " The numbers are the same, but written differently: write them alike." if numbers else ""
    raise BadInput(
        f"{source.names[split]} has no label that train has, too: {listed(sorted(there), NAMED_ROWS)}, and in train "
        f"{listed(sorted(present), NAMED_ROWS)}.{why or ' Is it the right file, and data.label_column the right one?'}"
    )


def _refuse_unseen(source: Source, kept: Kept, unseen: dict[str, list[str]]) -> None:
    for split, unknown in unseen.items():
        if unknown:
            where = source.row(split, kept[split][0][kept[split][1].index(unknown[0])])
            raise BadInput(
                f"{source.names[split]} has labels that train lacks: {', '.join(sorted(set(unknown))[:NAMED_ROWS])} "
                f"(first at {where}). Correct them, add training rows with these labels, or set "
                "data.unseen_labels: keep, which counts them as missed."
            )


def _check_classes(source: Source, names: list[str], doubtful: int) -> None:
    if len(names) < 2:
        also = f" ({doubtful} rows were dropped whose text stands there with another label, too.)" if doubtful else ""
        raise BadInput(
            f"{source.names['train']} has only one class, {names[0]!r}. A classifier needs two or more: is "
            f"data.label_column the right one?{also}"
        )


def look_alikes(names: list[str]) -> list[tuple[str, str]]:
    """Pairs of classes whose names differ in case, in what cannot be seen, or in how a letter is encoded."""
    seen: dict[str, str] = {}
    pairs = []
    for name in names:
        plain = "".join(letter for letter in unicodedata.normalize("NFKC", name) if letter.isprintable()).casefold()
        if (key := " ".join(plain.split())) in seen:
            pairs.append((seen[key], name))
        seen.setdefault(key, name)
    return pairs


def joined(names: list[str]) -> list[tuple[str, str]]:
    """Classes whose names are those of other classes, joined by ``|``, ``;`` or ``,``: texts with several labels."""
    known = set(names)
    found = []
    for name in names:
        for mark in "|;,":
            parts = [part.strip() for part in name.split(mark)]
            if len(parts) > 1 and known.issuperset(parts):
                found.append((name, mark))
                break
    return found


def _ordered(labels: set[str]) -> list[str]:
    """Numbers by value, everything else by name."""
    if all(re.fullmatch("-?[0-9]{1,18}", label) for label in labels):
        return sorted(labels, key=lambda label: (int(label), label))  # 1 and 01 are two labels
    return sorted(labels)
