"""The base of all readers: a table that is read in batches, with its columns and its format."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa

BATCH_ROWS = 1000


@dataclass
class Table:
    """A table in one file, or in the parts of a folder.

    Attributes:
        path: the file or folder.
        schema: the columns and their types.
        first_row: the row number of the first data row, as a spreadsheet or editor shows it (with the header).
        settings: the format of the table, for the log and the data card.
    """

    path: Path
    schema: pa.Schema
    first_row: int = 1
    settings: dict[str, str] = field(default_factory=dict)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows in order, with these columns, up to ``BATCH_ROWS`` at a time."""
        raise NotImplementedError

    def description(self, rows: int) -> str:
        """Return one line for the log: ``reviews.csv: delimiter ';', UTF-16, quoting minimal, 1,234 rows``."""
        parts = []
        for key, value in self.settings.items():
            shown = {"\t": "tab"}.get(value, repr(value)) if key in ("delimiter", "escape") else value
            parts.append(shown if key in ("encoding", "format") else f"{key} {shown}")
        return f"{self.path}: {', '.join([*parts, f'{rows:,} rows'])}"


def partition_columns(root: Path, part: Path) -> dict[str, str | None]:
    """Return the columns that Hive writes into folder names, such as ``day=2024-01-01/part-0.parquet``."""
    columns: dict[str, str | None] = {}
    for name in part.relative_to(root).parts[:-1] if root.is_dir() else ():
        if "=" in name:
            key, _, value = name.partition("=")
            columns[unquote(key)] = None if value == "__HIVE_DEFAULT_PARTITION__" else unquote(value)
    return columns
