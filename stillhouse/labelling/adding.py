"""Checks labels of people before they join the data: that each is for a text of the data and is one of the classes."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset

from stillhouse.data.added import Labels
from stillhouse.data.keys import text_key
from stillhouse.data.readers import Table, Wanted, strings
from stillhouse.data.splits import label_names
from stillhouse.errors import BadInput, listed
from stillhouse.task import TASK

ID = "id"
BATCH = 1000
SHOWN = 8  # most problems in a message


@dataclass(frozen=True)
class Row:
    """A row with a label: its number as a spreadsheet shows it, the key of its text, and the label."""

    number: int
    key: bytes
    label: str


@dataclass(frozen=True)
class Known:
    """A text of the data: the text as the data have it, its split, and its label if it has one."""

    text: str
    split: str
    label: str | None


def read_rows(table: Table, wanted: Wanted) -> tuple[list[Row], int]:
    """Return the rows with a label, and the number of rows without one.

    If the table has the column ``id``, as ``stillhouse next`` writes it, the id names the text: a spreadsheet may have
    altered the text itself.

    Raises:
        BadInput: an id is no id, or a row has neither text nor id.
    """
    text_column, label_column = (wanted.columns[setting] for setting in ("text_column", "label_column"))
    columns = [text_column, label_column, *([ID] if ID in table.schema.names else [])]
    rows, empty, number = [], 0, table.first_row - 1
    for batch in table.batches(columns):
        values = [strings(batch.column(batch.schema.get_field_index(name))).to_pylist() for name in columns]
        for text, label, *ids in zip(*values, strict=True):
            number += 1
            if not (label or "").strip():
                empty += 1
                continue
            rows.append(Row(number, _key(text or "", ids[0] if ids else None, table.path, number), label.strip()))
    return rows, empty


def _key(text: str, identity: str | None, file: Path, number: int) -> bytes:
    try:
        key = bytes.fromhex(identity or "") or (text_key(text) if text.strip() else b"")
    except ValueError:
        key = b""
    if not key:
        raise BadInput(
            f"{file} row {number}: {identity!r} is no id of a text. Restore it, or leave it and its label empty."
        )
    return key


def find_texts(keys: Collection[bytes], splits: Iterable[tuple[str, Dataset]], added: Labels) -> dict[bytes, Known]:
    """Find texts of the data by their keys.

    Args:
        keys: of the texts.
        splits: names of splits, and their texts with or without the column ``label``.
        added: labels of ``data.added_labels``; they replace those of the splits.
    """
    found: dict[bytes, Known] = {}
    for name, dataset in splits:
        names = label_names(dataset) if "label" in dataset.column_names else []
        for batch in dataset.iter(BATCH):
            labels = batch.get("label", TASK.no_labels(len(batch["text"])))
            for text, label in zip(batch["text"], labels, strict=True):
                if (key := text_key(text)) in keys:
                    found[key] = Known(text, name, added.get(key, names[label] if label >= 0 else None))
    return found


def check_rows(
    rows: Sequence[Row],
    known: dict[bytes, Known],
    classes: Sequence[str],
    file: Path,
    new_classes: bool,
    replace: bool,
) -> list[Row]:
    """Return the rows that add or change a label, one for each text.

    Args:
        rows: of ``file``.
        known: texts of the data.
        classes: of the data.
        file: for messages.
        new_classes: whether a label may be another class.
        replace: whether a label may differ from the one that the text has.

    Raises:
        BadInput: a row cannot be used. The message names up to eight such rows, and for each what is wrong.
    """
    problems: list[str] = []
    first: dict[bytes, Row] = {}
    for row in rows:
        text, other = known.get(row.key), first.setdefault(row.key, row)
        if text is None:
            problem = "the text is not in the data. Was it altered, or its source?"
        elif text.split == "test":
            problem = "the text is a test text. Its label is in the source alone, and no model learns from it."
        elif row.label not in classes and not new_classes:
            problem = f"{row.label!r} is no class. Correct it, or accept new classes with --new-classes."
        elif other.label != row.label:
            problem = f"{row.label!r}, but row {other.number} gives the same text the label {other.label!r}."
        elif text.label not in (None, row.label) and not replace:
            problem = f"{row.label!r}, but the text has the label {text.label!r}. Change labels with --replace."
        else:
            continue
        problems.append(f"  row {row.number}: {problem}")
    if problems:
        more = f"\n  and {len(problems) - SHOWN} more rows" if len(problems) > SHOWN else ""
        head = f"{file}: nothing was added. The classes: {listed(classes)}."
        raise BadInput("\n".join([head, *problems[:SHOWN]]) + more)
    return [row for key, row in first.items() if known[key].label != row.label]
