"""Tables in files: CSV, TSV, JSONL and Parquet, checked before they are read, and brought to plain columns."""

import codecs
import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import ClassLabel, Dataset, Features, Value, load_dataset

from stillhouse.data.layout import READERS, delimiter_of
from stillhouse.errors import BadInput, listed
from stillhouse.params import Data

BOTH = {"text_column": "text", "label_column": "label"}
TEXT = {"text_column": "text"}
SINGLE = ("string", "large_string", "null", "int", "uint", "bool", "float")
LONGEST_FIELD = 100_000_000  # characters; more is an unclosed quote


def read_table(file: Path, data: Data, cache: Path, columns: dict[str, str] = BOTH) -> Dataset:
    """The columns that ``data`` names, as strings under plain names; Arrow files go under ``cache``.

    ``columns`` maps keys of ``data`` to these names. Raises BadInput: not readable as what it claims to be.
    """
    if file.stat().st_size == 0:
        raise BadInput(f"{file} is empty.")
    kind = READERS[file.suffix.lower()]
    delimiter = delimiter_of(file)
    encoding = data.encoding if kind == "parquet" else _encoding(file, data.encoding)
    if kind == "csv":
        there = check_rows(file, encoding, delimiter)
    else:
        there = _keys(file, encoding) if kind == "json" else _names(file)
    check_columns(file, there, data, columns)
    named = [getattr(data, key) for key in columns]
    options: dict[str, Any] = {}
    if kind == "csv":
        # Everything is text: "NA" is a word and 007 a label.
        options = {
            "sep": delimiter,
            "usecols": named,
            "features": Features({name: Value("string") for name in named}),
            "keep_default_na": False,
            "encoding": encoding,
        }
    elif kind == "json":
        options = {"encoding": encoding}
    # Under a name of our own: the library takes some characters in names for patterns and addresses.
    cache.mkdir(parents=True, exist_ok=True)
    link = cache / f"table{file.suffix.lower()}"
    link.unlink(missing_ok=True)
    link.symlink_to(file.resolve())
    try:
        dataset = load_dataset(kind, data_files=str(link), split="train", cache_dir=str(cache), **options)
    except Exception as error:  # datasets wraps parser errors of several libraries in its own
        if "corresponds to no data" in str(error):
            raise BadInput(f"{file} has columns but no rows.") from None
        raise BadInput(f"{file} cannot be read as {kind.upper()}: {error.__cause__ or error}") from None
    if not len(dataset):
        raise BadInput(f"{file} has columns but no rows.")
    _check_types(file, dataset, data, columns)
    if kind == "parquet":
        _check_utf8(file, dataset.select_columns(named))
    return as_strings(dataset, data, columns)


def _encoding(file: Path, encoding: str) -> str:
    """The encoding that reads ``file`` whole: the one asked for, less the mark with which Excel begins UTF-8."""
    try:
        "a".encode(encoding)
        decoder = codecs.getincrementaldecoder(encoding)()
    except (LookupError, ValueError):  # unknown, or none of text
        raise BadInput(f"data.encoding: {encoding!r} is not an encoding of text that Python knows.") from None
    marked, number = False, 0
    with file.open("rb") as lines:
        try:
            for number, line in enumerate(lines, start=1):
                marked |= number == 1 and line.startswith(codecs.BOM_UTF8)
                decoder.decode(line)
            decoder.decode(b"", final=True)  # the file may end within a character
        except UnicodeDecodeError as error:
            raise BadInput(
                f"{file} line {number}: byte 0x{error.object[error.start]:02x} is not {encoding}. Convert the file "
                f"(iconv -f latin1 -t utf-8), or set data.encoding (latin-1, cp1252, utf-16, ...)."
            ) from None
    return "utf-8-sig" if marked and codecs.lookup(encoding).name == "utf-8" else encoding


def check_rows(file: Path, encoding: str, delimiter: str) -> list[str]:
    """The columns of a CSV file, none of whose rows has more fields: what is too many would be cut off silently.

    Raises BadInput: with the row, also where a quote is left open.
    """
    limit = csv.field_size_limit(LONGEST_FIELD)
    number = 0
    try:
        with file.open(encoding=encoding, newline="") as lines:
            rows = csv.reader(lines, delimiter=delimiter, strict=True)
            header = next(rows, [])
            for number, row in enumerate(rows, start=2):
                if len(row) > len(header):
                    raise BadInput(
                        f"{file} row {number} has {len(row)} fields, the header {len(header)}: "
                        f"{delimiter.join(row)[:80]!r}. A text that holds {delimiter!r} must stand in double quotes."
                    )
    except csv.Error as error:
        raise BadInput(f"{file} cannot be read as CSV after row {number}: {error}. Is a quote left open?") from None
    finally:
        csv.field_size_limit(limit)
    if twice := [name for name, count in Counter(header).items() if count > 1]:
        raise BadInput(f"{file} has more than one column {twice[0]!r}. Rename all but one.")
    return header


def _names(file: Path) -> list[str]:
    try:
        return list(pq.read_schema(file).names)
    except Exception as error:  # pyarrow's own errors have no common base
        raise BadInput(f"{file} is not a Parquet file: {error}") from None


def _keys(file: Path, encoding: str) -> list[str]:
    with file.open(encoding=encoding, newline="") as lines:
        first = next((line for line in lines if line.strip()), "")
    try:
        row = json.loads(first)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{file} line 1 is not JSON: {error}. JSONL has one object a line.") from None
    if not isinstance(row, dict):
        raise BadInput(f"{file} line 1 holds {type(row).__name__}, not an object. JSONL has one object a line.")
    return list(row)


def _check_types(file: Path, dataset: Dataset, data: Data, columns: dict[str, str]) -> None:
    for key in columns:
        name = getattr(data, key)
        feature = dataset.features[name]
        kind = getattr(feature, "dtype", type(feature).__name__)
        allowed = ("string", "large_string", "null") if key == "text_column" else SINGLE
        if not isinstance(feature, ClassLabel) and not (isinstance(feature, Value) and kind.startswith(allowed)):
            told = "text" if key == "text_column" else "text or whole numbers"
            raise BadInput(f"{file}: column {name!r} (data.{key}) holds {kind}, not {told}.")


def _check_utf8(file: Path, dataset: Dataset) -> None:
    """Nobody has looked at these strings yet: pyarrow writes and reads whatever bytes it is given."""
    row = 0
    for batch in dataset.data.table.to_batches():
        for index in range(batch.num_rows if _is_damaged(batch) else 0):
            if _is_damaged(batch.slice(index, 1)):
                raise BadInput(
                    f"{file} row {row + index + 1} is not UTF-8, as text in Parquet must be. Write the file anew from "
                    "decoded strings."
                )
        row += batch.num_rows


def _is_damaged(batch: pa.RecordBatch) -> bool:
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        return True
    return False


def check_columns(where: Path | str, there: list[str], data: Data, columns: dict[str, str] = BOTH) -> None:
    """Raises BadInput where a column that ``data`` names is not ``there``."""
    for key in columns:
        if (name := getattr(data, key)) not in there:
            raise BadInput(f"{where} has no column {name!r} (data.{key}). It has: {listed(list(map(repr, there)))}.")
    if data.text_column == data.label_column:
        raise BadInput(f"data.text_column and data.label_column are both {data.text_column!r}.")


def as_strings(dataset: Dataset, data: Data, columns: dict[str, str] = BOTH) -> Dataset:
    """The named columns alone, under plain names, as strings; class numbers become their names."""
    same = {getattr(data, key): name for key, name in columns.items()}
    dataset = dataset.select_columns(list(same))
    names = None
    if "label_column" in columns and isinstance(dataset.features[data.label_column], ClassLabel):
        names = dataset.features[data.label_column].names
    plain = Features({name: Value("string") for name in columns.values()})
    dataset = dataset.rename_columns({old: new for old, new in same.items() if old != new})
    if dataset.features == plain:
        return dataset
    return dataset.map(_stringify, batched=True, fn_kwargs={"names": names}, features=plain, load_from_cache_file=False)


def _stringify(batch: dict[str, list[Any]], names: list[str] | None) -> dict[str, list[str | None]]:
    def label(value: Any) -> str | None:
        if value is None or (names and value < 0):
            return None
        return names[value] if names else _plain(value)

    return {
        name: [label(value) if name == "label" else _plain(value) for value in values] for name, values in batch.items()
    }


def _plain(value: Any) -> str | None:
    if value is None or value != value:  # NaN, which a missing number becomes
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
