"""Readers of tables: delimited text, JSON Lines, Parquet, saved data sets. ``prepare`` and ``score`` share them.

No reader loses, merges or adds a row. A reader reports the format that it detects. It refuses a file that can be read
in two ways with different rows.
"""

from collections.abc import Callable
from pathlib import Path

from stillhouse.data.readers.columnar import Columns, Parquet, Saved
from stillhouse.data.readers.delimited import Delimited
from stillhouse.data.readers.jsonl import LINE, JsonLines
from stillhouse.data.readers.layout import SPLITS, find_parts, split_files
from stillhouse.data.readers.table import BATCH_ROWS, Table
from stillhouse.data.readers.values import check_types, strings
from stillhouse.data.readers.wanted import Wanted, may_lack_labels, wanted_columns
from stillhouse.params import Data

READERS: dict[str, Callable[[Path, list[Path], Wanted], Table]] = {
    "text": Delimited,
    "json": JsonLines,
    "parquet": Parquet,
    "saved": Saved,
}
__all__ = [
    "BATCH_ROWS",
    "LINE",
    "SPLITS",
    "Columns",
    "JsonLines",
    "Table",
    "Wanted",
    "check_types",
    "may_lack_labels",
    "open_split",
    "open_table",
    "split_files",
    "strings",
    "wanted_columns",
]


def open_table(path: Path, wanted: Wanted) -> Table:
    """Open a table in one file or in a folder of parts, and check its format, types and columns.

    Raises:
        BadInput: a check failed. The message names file, row or line, and setting.
    """
    kind, parts = find_parts(path)
    return READERS[kind](path, parts, wanted)


def open_split(path: Path, data: Data, split: str) -> tuple[Table, Wanted]:
    """Open the table of a split of ``data``, as :func:`open_table`, and return it with the columns to read.

    Without labels for training, all tables but that of test may lack the label column.
    """
    wanted, plain = wanted_columns(data, labelled=split != data.unlabelled), wanted_columns(data, labelled=False)
    if may_lack_labels(data, split) and data.label_column not in open_table(path, plain).schema.names:
        wanted = plain
    return open_table(path, wanted), wanted
