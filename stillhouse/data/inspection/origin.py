"""Opens a source that is new to a project: local files, a dataset of the hub, or a local folder in the hub's format."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import ClassLabel, Dataset, disable_progress_bars

from stillhouse.data.inspection.profile import Profile
from stillhouse.data.readers import Columns, JsonLines, Table, Wanted, open_table, split_files
from stillhouse.data.readers.delimiter import AUTO, DELIMITERS, find_delimiter
from stillhouse.data.readers.encoding import find_encoding
from stillhouse.data.readers.layout import READERS, find_parts, is_table
from stillhouse.data.readers.records import Dialect, header, open_text
from stillhouse.data.readers.values import is_label, is_text
from stillhouse.data.sources.hub import as_batches, open_dataset
from stillhouse.errors import BadInput
from stillhouse.params import Format

PREFIX = "--"  # of settings in messages
UNLABELLED = ("unlabelled", "unlabeled", "unsupervised")  # names of a split without labels
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
HUB_FILE = "*-[0-9][0-9][0-9][0-9][0-9]-of-[0-9][0-9][0-9][0-9][0-9].*"  # as datasets names the parts of a split


@dataclass(frozen=True)
class Origin:
    """A source with the columns of its split train.

    Attributes:
        settings: keys of the section ``data`` that name the source: ``source``, ``path`` or ``hub_id``.
        where: names the split train in messages.
        unlabelled: the name of a split without labels; None if there is none.
        schema: all columns and their types.
        columns: an empty profile for each column that can hold texts or labels.
        class_names: for columns with class numbers the names of the classes.
        table: the opened file or folder of the split; None for a dataset of the hub.
        dataset: the split of a dataset of the hub; None for files.
    """

    settings: dict[str, Any]
    where: str
    unlabelled: str | None
    schema: pa.Schema
    columns: list[Profile]
    class_names: dict[str, list[str]] = field(default_factory=dict)
    table: Table | None = None
    dataset: Dataset | None = None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows of train with the columns of :attr:`columns`."""
        names = [column.name for column in self.columns]
        if self.table is not None:
            yield from self.table.batches(names)
        elif self.dataset is not None:
            yield from as_batches(self.dataset.select_columns(names))

    def format_settings(self, columns: dict[str, str], given: Format) -> dict[str, Any]:
        """Return the keys of the section ``data`` for the format: as given, and the delimiter if ``auto`` errs.

        Args:
            columns: maps ``text_column`` and ``label_column`` to the chosen columns.
            given: the options of the command.
        """
        settings = given.model_dump()
        found = (self.table.settings if self.table is not None else {}).get("delimiter")
        if self.table is not None and found and given.delimiter == AUTO:
            part, wanted = find_parts(self.table.path)[1][0], Wanted(columns, given, PREFIX)
            if find_delimiter(open_text(part, find_encoding(part, wanted)), wanted) != found:
                settings["delimiter"] = found
        return settings


def find_origin(source: str, given: Format, hub_config: str | None, hub_revision: str | None) -> Origin:
    """Open ``source``: a table, a folder of splits, a folder in the hub's format, or the id of a dataset of the hub.

    Raises:
        BadInput: there is no such file, or it cannot be read.
        Unavailable: the hub does not answer.
    """
    path = Path(source).expanduser()
    if not path.exists():
        if not _may_be_hub_id(source):
            raise BadInput(f"{source} does not exist. Give a file ({', '.join(READERS)}), a folder, or a hub id.")
        return _of_hub(source, hub_config, hub_revision)
    if path.is_dir() and not is_table(path) and next(path.rglob(HUB_FILE), None):
        return _of_hub(source, hub_config, hub_revision)
    return _of_files(source, path, given)


def _may_be_hub_id(source: str) -> bool:
    """Whether ``source`` is no mistaken path: it has one slash, no ending of a table, and no such folder exists."""
    ending = Path(source).suffix.lower()
    return bool(HUB_ID.fullmatch(source)) and ending not in READERS and not Path(source).parent.is_dir()


def _of_files(source: str, path: Path, given: Format) -> Origin:
    unlabelled = None
    if not is_table(path):
        unlabelled = next((name for name in UNLABELLED if _has_split(path, name)), None)
    table = _open(split_files(path, unlabelled)["train"], given)
    nested = table.nested if isinstance(table, JsonLines) else []
    usable = _usable(table.schema, nested)
    numbers = {name: found for name in usable if (found := _class_names(table, name, given))}
    columns = [Profile(name, is_text(table.schema.field(name).type), name in numbers) for name in usable]
    settings = {"source": "files", "path": source, "hub_id": None, "hub_config": None, "hub_revision": None}
    return Origin(settings, str(table.path), unlabelled, table.schema, columns, numbers, table)


def _has_split(path: Path, name: str) -> bool:
    return is_table(path / name) or any(file.suffix.lower() in READERS for file in path.glob(f"{name}.*"))


def _of_hub(source: str, config: str | None, revision: str | None) -> Origin:
    disable_progress_bars()
    found = open_dataset(source, config, revision)
    train = found["train"]
    usable = _usable(train.features.arrow_schema, [])
    features = train.features
    numbers = {name: list(features[name].names) for name in usable if isinstance(features[name], ClassLabel)}
    kinds = features.arrow_schema
    columns = [Profile(name, is_text(kinds.field(name).type), name in numbers) for name in usable]
    settings = {"source": "hub", "hub_id": source, "hub_config": config, "hub_revision": revision}
    unlabelled = next((name for name in UNLABELLED if name in found), None)
    return Origin(settings, f"hub dataset {source} train", unlabelled, kinds, columns, numbers, dataset=train)


def _usable(schema: pa.Schema, nested: Sequence[str]) -> list[str]:
    """Return the columns with one text, number or truth value in each row, and a name of their own."""
    names = [name for name in schema.names if name and schema.names.count(name) == 1 and name not in nested]
    return [name for name in names if is_label(schema.field(name).type)]


def _class_names(table: Table, name: str, given: Format) -> list[str] | None:
    if not isinstance(table, Columns) or not pa.types.is_integer(table.schema.field(name).type):
        return None
    named = open_table(table.path, Wanted({"label_column": name}, given, PREFIX))
    return named.class_names if isinstance(named, Columns) else None


def _open(file: Path, given: Format) -> Table:
    """Open a table without knowing its columns.

    The delimiter that gives the most columns comes first. The others follow if that one does not fit the rows.

    Raises:
        BadInput: the table cannot be read; the message is that of the first delimiter.
    """
    wanted = Wanted({}, given, PREFIX)
    kind, parts = find_parts(file)
    if kind != "text" or given.delimiter != AUTO:
        return open_table(file, wanted)
    text = open_text(parts[0], find_encoding(parts[0], wanted))
    usual = find_delimiter(text, wanted)
    if text.skipped or usual not in DELIMITERS:  # Excel's line ``sep=``
        return open_table(file, wanted)
    order = sorted(DELIMITERS, key=lambda delimiter: delimiter != usual)
    widths = {delimiter: len(header(text, Dialect(delimiter, "minimal"))) for delimiter in order}
    order = sorted(order, key=lambda delimiter: -widths[delimiter])
    first: BadInput | None = None
    for delimiter in order:
        if max(widths.values()) > 1 and widths[delimiter] == 1:
            continue  # every line is one field, so nothing would be checked
        try:
            return open_table(file, Wanted({}, given.model_copy(update={"delimiter": delimiter}), PREFIX))
        except BadInput as error:
            first = first or error
    raise first or BadInput(f"{file} cannot be read.")
