"""Readers of tables: delimited text, JSON Lines, Parquet, saved data sets. ``prepare`` and ``score`` share them.

Rows in are rows out: no reader loses, merges or makes up a row. What is detected is reported; where two readings of a
file differ in rows, it is refused.
"""

from collections.abc import Callable
from pathlib import Path

from stillhouse.data.readers.columnar import Columns, Parquet, Saved
from stillhouse.data.readers.delimited import Delimited
from stillhouse.data.readers.jsonl import LINE, JsonLines
from stillhouse.data.readers.layout import SPLITS, find_parts, split_files
from stillhouse.data.readers.table import ROWS, Table
from stillhouse.data.readers.values import check_types, strings
from stillhouse.data.readers.wanted import Wanted, of_data

READ: dict[str, Callable[[Path, list[Path], Wanted], Table]] = {
    "text": Delimited,
    "json": JsonLines,
    "parquet": Parquet,
    "saved": Saved,
}
__all__ = [
    "LINE",
    "ROWS",
    "SPLITS",
    "Columns",
    "JsonLines",
    "Table",
    "Wanted",
    "check_types",
    "of_data",
    "open_table",
    "split_files",
    "strings",
]


def open_table(path: Path, wanted: Wanted) -> Table:
    """A table in one file or in a folder of parts, checked: it can be read whole, and has the columns.

    Raises:
        BadInput: it cannot; the message names file, row or line, and setting.
    """
    kind, parts = find_parts(path)
    return READ[kind](path, parts, wanted)
