"""The type that every source returns, and the Arrow files behind it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
from datasets import Dataset

from stillhouse.data.readers import Wanted, strings

NAMES = {"text_column": "text", "label_column": "label"}


@dataclass(frozen=True)
class Source:
    """Texts in the row order of the source, before cleaning.

    Attributes:
        splits: memory-mapped rows with the columns ``text`` and ``label`` (strings; null for a missing value). Without
            the column ``label`` no row has a label.
            ``train`` is required; ``validation`` and ``test`` are optional.
        names: for each split its origin, for messages.
        first_rows: for each split the number of its first row as the user counts; 1 if missing.
        label_order: the classes in the order of the source; None if it has no order.
        unlabelled: further rows, with the column ``text`` alone.
        formats: for each file its format, as set or detected.
    """

    splits: dict[str, Dataset]
    names: dict[str, str]
    first_rows: dict[str, int] = field(default_factory=dict)
    label_order: list[str] | None = None
    unlabelled: Dataset | None = None
    formats: dict[str, dict[str, str]] = field(default_factory=dict)

    def number(self, split: str, index: int) -> int:
        """Return the number of a row as the user counts."""
        return index + self.first_rows.get(split, 1)

    def row(self, split: str, index: int) -> str:
        """Return a row for messages: ``reviews.csv row 17``."""
        return f"{self.names[split]} row {self.number(split, index)}"


def as_strings(batches: Iterable[pa.RecordBatch], wanted: Wanted, names: list[str] | None, file: Path) -> Dataset:
    """Write the wanted columns as strings named ``text`` and ``label``, and return them memory-mapped.

    Args:
        batches: the source's rows.
        wanted: which columns are text and label.
        names: the names of the classes if the labels are class numbers, else None.
        file: the Arrow file to write.
    """
    schema = pa.schema([(NAMES[setting], pa.string()) for setting in wanted.columns])
    file.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(file), "wb") as out, pa.ipc.new_stream(out, schema) as writer:
        for batch in batches:
            columns = [
                strings(batch.column(batch.schema.get_field_index(name)), names if setting == "label_column" else None)
                for setting, name in wanted.columns.items()
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema))
    return Dataset.from_file(str(file))
