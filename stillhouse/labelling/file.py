"""Reads labels from a file: of people, of another system, of a vendor.

The table has a text column, and one of:

- a column for each class, with probabilities or with votes (counts);
- a label column. Several rows of the same text are votes.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from stillhouse.data.keys import text_key
from stillhouse.data.readers import Wanted, open_table, strings
from stillhouse.errors import BadInput, listed
from stillhouse.params import Format

logger = logging.getLogger(__name__)

LISTED = 8
TOLERANCE = 0.02  # by which the probabilities of a text may differ from 1


def read_labels(path: Path, text_column: str, label_column: str, classes: Sequence[str]) -> dict[bytes, np.ndarray]:
    """Read the labels of a table.

    Args:
        path: a CSV, TSV, JSON Lines or Parquet file, or a folder of parts. Its format is detected.
        text_column: the column with the texts.
        label_column: the column with the labels, if there is no column for each class.
        classes: the names of the classes.

    Returns:
        For each text, by its key (:func:`stillhouse.data.keys.text_key`), the probabilities (classes,).

    Raises:
        BadInput: a file or column is missing, a label is not a class, or a number is no probability or count. The
            message names file, row and column.
    """
    form = Format(delimiter="auto", quoting="auto", escape="auto", encoding="auto")
    plain = Wanted({"text_column": text_column}, form, "label.")
    present = open_table(path, plain).schema.names
    if found := [name for name in classes if name in present]:
        if missing := [name for name in classes if name not in present]:
            raise BadInput(
                f"{path} has columns for {listed(found, LISTED)}, but none for {listed(missing, LISTED)}. Add them; a "
                "class without votes has 0."
            )
        if label_column in present:
            logger.info("%s: the columns of the classes are read, and not the column %r", path, label_column)
        return _numbers(path, plain, text_column, classes)
    if label_column not in present:
        raise BadInput(
            f"{path} has no column {label_column!r} (label.label_column), and none with the name of a class "
            f"({listed(list(classes), LISTED)}). It has: {listed(present, LISTED)}."
        )
    return _labels(path, Wanted({**plain.columns, "label_column": label_column}, form, "label."), classes)


def _labels(path: Path, wanted: Wanted, classes: Sequence[str]) -> dict[bytes, np.ndarray]:
    table, numbers = open_table(path, wanted), {name: number for number, name in enumerate(classes)}
    names = getattr(table, "class_names", None)
    votes: dict[bytes, Counter[int]] = defaultdict(Counter)
    unknown: Counter[str] = Counter()
    row, first, empty = table.first_row, 0, 0
    for batch in table.batches(list(wanted.columns.values())):
        texts, labels = (
            strings(batch.column(name), names if setting == "label_column" else None).to_pylist()
            for setting, name in wanted.columns.items()
        )
        for text, label in zip(texts, labels, strict=True):
            label = (label or "").strip()
            if not label or not (text or "").strip():
                empty += 1
            elif label in numbers:
                votes[text_key(text)][numbers[label]] += 1
            else:
                first = first or row
                unknown[label] += 1
            row += 1
    if unknown:
        raise BadInput(
            f"{path} has labels that are no class of the data: {listed(list(unknown), LISTED)}; "
            f"{sum(unknown.values())} rows have one (first in row {first}). The classes: "
            f"{listed(list(classes), LISTED)}. Correct them, or leave the label empty."
        )
    if empty:
        logger.info("%s: %d rows without text or label are left out", path, empty)
    return {key: _shares(np.bincount(list(found.elements()), minlength=len(classes))) for key, found in votes.items()}


def _numbers(path: Path, wanted: Wanted, text_column: str, classes: Sequence[str]) -> dict[bytes, np.ndarray]:
    table = open_table(path, wanted)
    sums: dict[bytes, np.ndarray] = {}
    row, whole, empty = table.first_row, True, 0
    irregular: list[int] = []
    for batch in table.batches([text_column, *classes]):
        texts = strings(batch.column(text_column)).to_pylist()
        columns = [_parsed(path, batch.column(name).to_pylist(), name, row) for name in classes]
        for text, *values in zip(texts, *columns, strict=True):
            answer = np.array(values)
            whole = whole and bool((answer == np.round(answer)).all())
            if not (text or "").strip() or answer.sum() <= 0:
                empty += 1
            else:
                if abs(answer.sum() - 1) > TOLERANCE:
                    irregular.append(row)
                key = text_key(text)
                sums[key] = sums.get(key, 0) + answer
            row += 1
    if empty:
        logger.info("%s: %d rows without text or label are left out", path, empty)
    if irregular and not whole:
        raise BadInput(
            f"{path}: the columns of the classes are neither probabilities nor counts: the sum of row {irregular[0]} "
            f"is not 1 ({len(irregular)} such rows). Divide each row by its sum."
        )
    return {key: _shares(answer) for key, answer in sums.items()}


def _parsed(path: Path, values: Sequence[object], name: str, row: int) -> list[float]:
    parsed = []
    for index, value in enumerate(values):
        try:
            number = float(str(value)) if value not in (None, "") else 0.0
        except ValueError:
            number = -1.0
        if not 0 <= number < float("inf"):
            raise BadInput(f"{path} row {row + index}, column {name!r}: {value!r} is no probability and no count.")
        parsed.append(number)
    return parsed


def _shares(counts: np.ndarray) -> np.ndarray:
    shares: np.ndarray = (counts / counts.sum()).astype(np.float32)
    return shares


def matched(found: Mapping[bytes, np.ndarray], texts: Sequence[str], classes: int) -> np.ndarray:
    """Return the probabilities of ``texts``, float32 (texts, classes); a row of NaN for a text without a label."""
    result = np.full((len(texts), classes), np.nan, np.float32)
    for row, text in enumerate(texts):
        if (answer := found.get(text_key(text))) is not None:
            result[row] = answer
    return result
