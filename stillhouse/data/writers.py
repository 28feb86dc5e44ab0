"""Tables that ``score`` writes: Parquet, JSON Lines, and CSV or TSV in UTF-8 with every text in double quotes."""

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
    """Takes tables of one schema, one after the other."""

    def write_table(self, table: pa.Table) -> None: ...  # noqa: D102

    def close(self) -> None: ...  # noqa: D102


class _JsonLines:
    """An object a line; where the source was JSON Lines, its own objects with the new keys added."""

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
        """Write what is left and close the file."""
        self._out.close()


def _plain(value: Any) -> Any:
    """A value in JSON's types: what is no finite number is null, and dates, times and decimals are text."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (str, int)) else str(value)


def open_writer(file: Path, target: Path, schema: pa.Schema) -> Writer:
    """Write tables of ``schema`` to ``file``, in the format that the name ``target`` ends in."""
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
    """The schema in which a table of ``schema`` is written to ``target``.

    Raises:
        BadInput: columns have types that ``target`` cannot hold; it names them.
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
    """Strings of every kind as one that each writer knows."""
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.large_string() if pa.types.is_string_view(value) else value


def _can_be_written(field: pa.Field, target: Path) -> bool:
    """Whether a row with this column can be written, tried on a null and on JSON's own types."""
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
    """Whether a type, or one within it, passes one of the tests."""
    if any(test(kind) for test in tests):
        return True
    if isinstance(kind, pa.BaseExtensionType):
        return _holds(kind.storage_type, *tests)
    return any(_holds(kind.field(index).type, *tests) for index in range(kind.num_fields))
