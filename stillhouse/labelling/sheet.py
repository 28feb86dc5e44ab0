"""CSV files for people: texts with an empty column ``label``. A program may save them in another format."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from stillhouse.data.readers import Wanted, check_types, open_table
from stillhouse.errors import BadInput
from stillhouse.files import replacing
from stillhouse.labelling.adding import read_rows
from stillhouse.params import Format

COLUMNS = ("id", "text", "label", "guess", "probability")
WANTED = Wanted(
    {"text_column": "text", "label_column": "label"},
    Format(delimiter="auto", quoting="auto", escape="auto", encoding="auto"),
    "--",
)


def write_sheet(file: Path, rows: Iterable[Sequence[str]], columns: Sequence[str] = COLUMNS) -> None:
    """Write the rows as CSV with every field in double quotes, at once or not at all."""
    with replacing(file) as partial, partial.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def read_sheet(file: Path) -> dict[bytes, str]:
    """Return the labels that people filled in, by the key of the text; none if there is no file.

    Raises:
        BadInput: the file cannot be read, an id is no id, or two rows give one text different labels.
    """
    if not file.exists():
        return {}
    table = open_table(file, WANTED)
    check_types(file, table.schema, WANTED)
    labels: dict[bytes, str] = {}
    for row in read_rows(table, WANTED)[0]:
        if labels.setdefault(row.key, row.label) != row.label:
            raise BadInput(f"{file} row {row.number}: {row.label!r}, but an earlier row has {labels[row.key]!r}.")
    return labels
