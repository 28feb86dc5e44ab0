"""Labelled texts as every source returns them, and the Arrow files that hold them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
from datasets import Dataset

from stillhouse.data.readers import Wanted, strings

NAMES = {"text_column": "text", "label_column": "label"}


@dataclass(frozen=True)
class Source:
    """Texts in the source's own row order, before cleaning.

    Attributes:
        splits: memory-mapped rows with the columns ``text`` and ``label`` (strings, null where the source has none).
            There is a split ``train``; ``validation`` and ``test`` are optional.
        names: for each split its origin, for messages.
        first_rows: for each split the number of its first row as the user counts; 1 where not given.
        label_order: the classes in the source's order, where it has one.
        unlabelled: further rows with the column ``text`` alone.
        formats: for each file how it is written, as it was set or detected.
    """

    splits: dict[str, Dataset]
    names: dict[str, str]
    first_rows: dict[str, int] = field(default_factory=dict)
    label_order: list[str] | None = None
    unlabelled: Dataset | None = None
    formats: dict[str, dict[str, str]] = field(default_factory=dict)

    def number(self, split: str, index: int) -> int:
        """The number of a row as the user counts."""
        return index + self.first_rows.get(split, 1)

    def row(self, split: str, index: int) -> str:
        """A row as the user finds it, for messages: ``reviews.csv row 17``."""
        return f"{self.names[split]} row {self.number(split, index)}"


def as_strings(batches: Iterable[pa.RecordBatch], wanted: Wanted, names: list[str] | None, file: Path) -> Dataset:
    """The columns that ``wanted`` names, as strings under the names ``text`` and ``label``, memory-mapped.

    Args:
        batches: the source's rows.
        wanted: which of its columns are text and label.
        names: the classes' names where labels are class numbers, else None.
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
