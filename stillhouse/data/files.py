"""Tables in files: CSV, TSV, JSONL and Parquet, checked before they are read, and brought to plain columns."""

import codecs
import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from datasets import ClassLabel, Dataset, Features, Value, load_dataset

from stillhouse.data.layout import READERS
from stillhouse.errors import BadInput
from stillhouse.params import Data

BOTH = {"text_column": "text", "label_column": "label"}
TEXT = {"text_column": "text"}


def read_table(file: Path, data: Data, cache: Path, columns: dict[str, str] = BOTH) -> Dataset:
    """The columns that ``data`` names, as strings under plain names; Arrow files go under ``cache``.

    ``columns`` maps keys of ``data`` to these names. Raises BadInput: not readable as what it claims to be.
    """
    if file.stat().st_size == 0:
        raise BadInput(f"{file} is empty.")
    kind = READERS[file.suffix.lower()]
    if kind != "parquet":
        _check_encoding(file, data.encoding)
    check_columns(file, _columns(file, kind, data), data, columns)
    named = [getattr(data, key) for key in columns]
    options: dict[str, Any] = {}
    if kind == "csv":
        # Everything is text: "NA" is a word and 007 a label.
        options = {
            "sep": "\t" if file.suffix.lower() == ".tsv" else ",",
            "usecols": named,
            "features": Features({name: Value("string") for name in named}),
            "keep_default_na": False,
            "encoding": data.encoding,
        }
    elif kind == "json":
        options = {"encoding": data.encoding}
    try:
        dataset = load_dataset(kind, data_files=str(file), split="train", cache_dir=str(cache), **options)
    except Exception as error:  # datasets wraps parser errors of several libraries in its own
        if "corresponds to no data" in str(error):
            raise BadInput(f"{file} has columns but no rows.") from None
        raise BadInput(f"{file} cannot be read as {kind.upper()}: {error.__cause__ or error}") from None
    if not len(dataset):
        raise BadInput(f"{file} has columns but no rows.")
    return as_strings(dataset, data, columns)


def _check_encoding(file: Path, encoding: str) -> None:
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
    except LookupError:
        raise BadInput(f"data.encoding: {encoding!r} is not an encoding Python knows.") from None
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                decoder.decode(line)
            except UnicodeDecodeError as error:
                raise BadInput(
                    f"{file} line {number}: byte 0x{error.object[error.start]:02x} is not {encoding}. Convert the file "
                    f"(iconv -f latin1 -t utf-8), or set data.encoding (latin-1, cp1252, utf-16, ...)."
                ) from None


def _columns(file: Path, kind: str, data: Data) -> list[str]:
    if kind == "parquet":
        try:
            return list(pq.read_schema(file).names)
        except Exception as error:  # pyarrow's own errors have no common base
            raise BadInput(f"{file} is not a Parquet file: {error}") from None
    with file.open(encoding=data.encoding, newline="") as lines:
        if kind == "csv":
            return next(csv.reader(lines, delimiter="\t" if file.suffix.lower() == ".tsv" else ","), [])
        first = next((line for line in lines if line.strip()), "")
        try:
            row = json.loads(first)
        except json.JSONDecodeError as error:
            raise BadInput(f"{file} line 1 is not JSON: {error}. JSONL has one object a line.") from None
        if not isinstance(row, dict):
            raise BadInput(f"{file} line 1 holds {type(row).__name__}, not an object. JSONL has one object a line.")
        return list(row)


def check_columns(where: Path | str, there: list[str], data: Data, columns: dict[str, str] = BOTH) -> None:
    """Raises BadInput where a column that ``data`` names is not ``there``."""
    for key in columns:
        if (name := getattr(data, key)) not in there:
            raise BadInput(f"{where} has no column {name!r} (data.{key}). It has: {', '.join(map(repr, there))}.")
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
