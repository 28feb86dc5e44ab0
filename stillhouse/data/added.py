"""Labels that people add to the data: the file that ``stillhouse add`` writes, and how its labels join the splits.

The file is only appended to, so an earlier state is the beginning of a later one. The last label of a text counts. The
source of the texts never changes.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import Dataset, concatenate_datasets

from stillhouse.data.keys import text_key
from stillhouse.data.readers import Wanted, open_table, strings
from stillhouse.data.splits import Split
from stillhouse.errors import BadInput
from stillhouse.files import replacing
from stillhouse.params import Format
from stillhouse.task import TASK

COLUMNS = ("date", "text", "label")
FORMAT = Format(delimiter=",", quoting="minimal", escape=None, encoding="utf-8")
BATCH = 1000
Labels = dict[bytes, str]  # by the key of the text


def read_added(named: str | None) -> Labels:
    """Return the last label of each text in the file ``data.added_labels``; nothing if there is no file.

    Raises:
        BadInput: the file was damaged, or a row has no label.
    """
    if named is None or not (file := Path(named)).is_file() or not file.stat().st_size:
        return {}
    table = open_table(file, Wanted({"text_column": "text", "label_column": "label"}, FORMAT, "column "))
    labels: Labels = {}
    row = table.first_row
    for batch in table.batches(["text", "label"]):
        for text, label in zip(*(strings(column).to_pylist() for column in batch.columns), strict=True):
            if not (label or "").strip():
                raise BadInput(f"{file} row {row} (data.added_labels) has no label. Correct it, or remove the row.")
            labels[text_key(text or "")] = label.strip()
            row += 1
    return labels


def append_added(file: Path, rows: Iterable[tuple[str, str]], date: str) -> None:
    """Append rows (text, label) to ``file``, which is replaced at once. ``date`` is stored in each row."""
    before = file.read_bytes() if file.exists() else b""
    with replacing(file) as partial:
        partial.write_bytes(before)
        with partial.open("a", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
            if not before:
                writer.writerow(COLUMNS)
            elif not before.endswith(b"\n"):
                out.write("\n")
            writer.writerows((date, text, label) for text, label in rows)


@dataclass
class WithAdded:
    """The result of :func:`add_labels`.

    Attributes:
        splits: train, validation and test.
        unlabelled: the remaining texts without a label: data sets and their rows.
        label_names: the classes, by class number. Classes that only added labels have come last.
        unseen: labels of the test set that train lacks. Their numbers follow those of ``label_names``.
        counts: number of labels that were ``added``, ``changed`` or ``confirmed``, of those of ``test texts``, which do
            not change, and of those of ``unknown texts``.
        new: the classes that only added labels have.
    """

    splits: dict[str, Split]
    unlabelled: list[tuple[Dataset, np.ndarray]]
    label_names: list[str]
    unseen: list[str]
    counts: dict[str, int]
    new: list[str]


def add_labels(
    splits: dict[str, Split],
    unlabelled: Sequence[tuple[Dataset, np.ndarray]],
    label_names: list[str],
    unseen: list[str],
    added: Labels,
) -> WithAdded:
    """Give texts the labels that people added.

    A label replaces that of a training or validation text. A text without a label becomes a training text: it was
    perhaps chosen because it is difficult, so it would not measure a model fairly. The label of a test text stays.

    Args:
        splits: train, validation and test.
        unlabelled: texts without a label: data sets with the column ``text``, and their rows.
        label_names: the classes, by class number.
        unseen: labels of the test set that train lacks; their numbers follow.
        added: the labels.
    """
    found = {name: list(_matches(splits[name].dataset, splits[name].rows, added)) for name in splits}
    moved = [list(_matches(dataset, rows, added)) for dataset, rows in unlabelled]
    matches = [*found["train"], *found["validation"], *(match for part in moved for match in part)]
    keys = {name: {key for _, key in part} for name, part in found.items()}
    new = sorted({added[key] for _, key in matches} - set(label_names))
    names, others = [*label_names, *new], [name for name in unseen if name not in new]
    splits = splits | {"test": _renumbered(splits["test"], [*label_names, *unseen], [*names, *others])}
    counts = Counter({"added": sum(map(len, moved)), "changed": 0, "confirmed": 0, "test texts": len(keys["test"])})
    for name in ("train", "validation"):
        labels = splits[name].labels.copy()
        for position, key in found[name]:
            given = TASK.encode([added[key]], names)[0]
            counts["confirmed" if labels[position] == given else "changed"] += 1
            labels[position] = given
        splits[name] = Split(splits[name].dataset, splits[name].rows, labels)
    counts["unknown texts"] = len(added.keys() - {key for _, key in matches} - keys["test"])
    chosen = [np.array([position for position, _ in part], np.int64) for part in moved]
    joining = [
        Split(dataset, rows[positions], TASK.encode([added[key] for _, key in part], names))
        for (dataset, rows), positions, part in zip(unlabelled, chosen, moved, strict=True)
        if part
    ]
    rest = [(data, np.delete(rows, positions)) for (data, rows), positions in zip(unlabelled, chosen, strict=True)]
    splits |= _joined(splits["train"], splits["validation"], joining)
    return WithAdded(splits, rest, names, others, dict(counts), new)


def _matches(dataset: Dataset, rows: np.ndarray, added: Labels) -> Iterator[tuple[int, bytes]]:
    """Yield the position in ``rows`` and the key of each text that has an added label."""
    for start in range(0, len(rows), BATCH):
        texts = dataset[rows[start : start + BATCH].tolist()]["text"]
        for position, text in enumerate(texts, start=start):
            if (key := text_key(text)) in added:
                yield position, key


def _renumbered(split: Split, before: list[str], after: list[str]) -> Split:
    """Return the split with the class numbers of ``after``."""
    numbers = TASK.encode(before, after)
    known = ~TASK.unlabelled(split.labels)
    labels = split.labels.copy()
    labels[known] = numbers[labels[known]]
    return Split(split.dataset, split.rows, labels)


def _joined(train: Split, validation: Split, joining: Sequence[Split]) -> dict[str, Split]:
    """Add texts to train. If train and validation have the same data set, they still have the same one afterwards."""
    datasets = [train.dataset]
    for split in joining:
        if not any(split.dataset is dataset for dataset in datasets):
            datasets.append(split.dataset)
    offsets = np.cumsum([0, *map(len, datasets)])
    parts = [train, *joining]
    places = [next(n for n, dataset in enumerate(datasets) if dataset is part.dataset) for part in parts]
    rows = np.concatenate([part.rows + offsets[place] for part, place in zip(parts, places, strict=True)])
    labels = np.concatenate([part.labels for part in parts])
    order = np.argsort(rows, kind="stable")
    whole = datasets[0]
    if len(datasets) > 1:
        whole = concatenate_datasets([dataset.select_columns("text") for dataset in datasets])
    shared = validation.dataset is train.dataset
    kept = Split(whole if shared else validation.dataset, validation.rows, validation.labels)
    return {"train": Split(whole, rows[order], labels[order]), "validation": kept}
