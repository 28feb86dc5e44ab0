"""Writers of ``score``: Parquet, JSON Lines, and CSV or TSV in UTF-8 with every text in double quotes."""

import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from stillhouse.data.readers import LINE
from stillhouse.errors import BadInput, listed

DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
JSON = (".jsonl", ".ndjson")
TARGETS = (*DELIMITERS, *JSON, ".parquet")


class Writer(Protocol):
    """Writes tables of one schema, one after the other."""

    def write_table(self, table: pa.Table) -> None: ...  # noqa: D102

    def close(self) -> None: ...  # noqa: D102


class _JsonLines:
    """One object a line. If the source is JSON Lines, its objects stay as written and get the new keys."""

    def __init__(self, file: Path) -> None:
        self._out = file.open("w", encoding="utf-8", newline="\n")

    def write_table(self, table: pa.Table) -> None:
        """Write each row as one line."""
        for row in table.to_pylist():
            own = row.pop(LINE, None)
            added = json.dumps(_plain(row), ensure_ascii=False)
            if own is not None:
                inner = own[1:-1].strip()
                added = f"{{{inner}{', ' if inner else ''}{added[1:]}"
            self._out.write(added + "\n")

    def close(self) -> None:
        """Flush and close the file."""
        self._out.close()


def _plain(value: Any) -> Any:
    """Convert a value to JSON's types: NaN and infinities to null; dates, times and decimals to text."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (str, int)) else str(value)


def open_writer(file: Path, target: Path, schema: pa.Schema) -> Writer:
    """Return a writer of tables of ``schema`` to ``file``. The suffix of ``target`` sets the format."""
    suffix = target.suffix.lower()
    if suffix in JSON:
        return _JsonLines(file)
    writer: Writer
    if suffix == ".parquet":
        writer = pq.ParquetWriter(file, schema)
    else:
        writer = pc.CSVWriter(file, schema, write_options=pc.WriteOptions(delimiter=DELIMITERS[suffix]))
    return writer


def writable(schema: pa.Schema, target: Path) -> pa.Schema:
    """Return the schema in which a table of ``schema`` is written to ``target``.

    Raises:
        BadInput: columns have types that ``target`` cannot hold. The message names them.
    """
    kinds = [_text(field.type) if target.suffix.lower() != ".parquet" else field.type for field in schema]
    plain = pa.schema([pa.field(field.name, kind) for field, kind in zip(schema, kinds, strict=True)])
    wrong = [f"{field.name!r} ({field.type})" for field in plain if not _can_be_written(field, target)]
    if wrong:
        lines = target.with_suffix(".jsonl")
        in_json = target.suffix.lower() not in JSON and all(_can_be_written(field, lines) for field in plain)
        advice = "Write JSON Lines or Parquet" if in_json else "Write Parquet"
        raise BadInput(
            f"{target} cannot hold the column{'s'[: len(wrong) != 1]} {listed(wrong)}. {advice}, or leave them out."
        )
    return plain


def _text(kind: pa.DataType) -> pa.DataType:
    """Return the plain string type for dictionary and view strings, which not every writer supports."""
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.large_string() if pa.types.is_string_view(value) else value


def _can_be_written(field: pa.Field, target: Path) -> bool:
    """Whether this column can be written. For CSV and Parquet the function tries it with a null."""
    if target.suffix.lower() in JSON:
        return not _holds(field.type, pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    if target.suffix.lower() in DELIMITERS and _holds(field.type, pa.types.is_binary, pa.types.is_large_binary):
        return False
    with suppress(pa.ArrowException):
        out = pa.BufferOutputStream()
        schema = pa.schema([field])
        writer: Any = (
            pq.ParquetWriter(out, schema) if target.suffix.lower() == ".parquet" else pc.CSVWriter(out, schema)
        )
        writer.write_table(pa.table([pa.nulls(1, field.type)], schema=schema))
        writer.close()
        return True
    return False


def _holds(kind: pa.DataType, *tests: Any) -> bool:
    """Whether a type or a type nested in it passes one of the tests."""
    if any(test(kind) for test in tests):
        return True
    if isinstance(kind, pa.BaseExtensionType):
        return _holds(kind.storage_type, *tests)
    return any(_holds(kind.field(index).type, *tests) for index in range(kind.num_fields))
