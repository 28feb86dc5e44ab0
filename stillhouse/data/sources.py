"""Where labelled texts come from: the packaged sample, local files, or a Hugging Face dataset.

Every source becomes the same thing: for each of its splits a memory-mapped ``Dataset`` with the columns
``text`` and ``label`` (strings, null where the source has none) in the source's own row order.
"""

import codecs
import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from datasets import ClassLabel, Dataset, Features, Value, disable_progress_bars, load_dataset
from datasets.exceptions import DatasetNotFoundError

from stillhouse.data.sample import sample_texts
from stillhouse.errors import BadInput, Unavailable
from stillhouse.params import Data

SPLITS = ("train", "validation", "test")
READERS = {".csv": "csv", ".tsv": "csv", ".jsonl": "json", ".parquet": "parquet"}
OFFLINE = (
    "Without the hub: point data.path at local files (data.source: files), or fill a cache on a connected "
    "machine and set HF_HOME to it with HF_HUB_OFFLINE=1, or set HF_ENDPOINT to a mirror."
)


@dataclass(frozen=True)
class Source:
    """Texts as they came: splits, where each is from, and the first row's number there."""

    splits: dict[str, Dataset]
    names: dict[str, str]
    first_row: int = 1
    label_order: list[str] | None = None

    def row(self, split: str, index: int) -> str:
        """A row as the user finds it, for messages: ``reviews.csv row 17``."""
        return f"{self.names[split]} row {index + self.first_row}"


def load_source(data: Data, cache: Path) -> Source:
    """Open the texts that ``data`` names; Arrow files go under ``cache`` and are memory-mapped.

    Raises:
        BadInput: a file, split or column is missing, empty, of an unknown kind or not decodable.
        Unavailable: the hub does not answer.
    """
    disable_progress_bars()
    loaders: dict[str, Callable[[Data, Path], Source]] = {"sample": _sample, "files": _files, "hub": _hub}
    return loaders[data.source](data, cache)


def _sample(data: Data, cache: Path) -> Source:
    texts, labels = sample_texts()
    dataset = Dataset.from_dict({"text": texts, "label": labels})
    return Source({"train": dataset}, {"train": "the packaged sample"})


def _files(data: Data, cache: Path) -> Source:
    files = _split_files(Path(data.path))
    kinds = {file.suffix.lower() for file in files.values()}
    splits = {split: _read_file(file, data, cache / split) for split, file in files.items()}
    # A spreadsheet or editor counts a CSV's header as row 1.
    first_row = 2 if kinds <= {".csv", ".tsv"} else 1
    return Source(splits, {split: str(file) for split, file in files.items()}, first_row)


def _split_files(path: Path) -> dict[str, Path]:
    allowed = ", ".join(READERS)
    if path.is_file():
        if path.suffix.lower() not in READERS:
            raise BadInput(f"data.path: {path} is of an unknown kind; it must end in {allowed}.")
        return {"train": path}
    if not path.is_dir():
        raise BadInput(f"data.path: {path} does not exist. Give a file ({allowed}) or a folder of splits.")
    files: dict[str, Path] = {}
    for split in SPLITS:
        found = sorted(file for file in path.glob(f"{split}.*") if file.suffix.lower() in READERS)
        if len(found) > 1:
            raise BadInput(f"data.path: {path} holds more than one {split} split: {_listed(found)}. Keep one.")
        files |= {split: found[0]} if found else {}
    if "train" not in files:
        raise BadInput(
            f"data.path: {path} holds no train split. Put train.csv (or {allowed}) there, with validation.* "
            "and test.* where you have them, or name one file."
        )
    return files


def _read_file(file: Path, data: Data, cache: Path) -> Dataset:
    if file.stat().st_size == 0:
        raise BadInput(f"{file} is empty.")
    kind = READERS[file.suffix.lower()]
    if kind != "parquet":
        _check_encoding(file, data.encoding)
    _check_columns(file, _columns(file, kind, data), data)
    options: dict[str, Any] = {}
    if kind == "csv":
        # Everything is text: "NA" is a word and 007 a label.
        options = {
            "sep": "\t" if file.suffix.lower() == ".tsv" else ",",
            "usecols": [data.text_column, data.label_column],
            "features": Features({data.text_column: Value("string"), data.label_column: Value("string")}),
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
    return _as_strings(dataset, data)


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


def _check_columns(where: Path | str, columns: list[str], data: Data) -> None:
    for key in ("text_column", "label_column"):
        if (name := getattr(data, key)) not in columns:
            raise BadInput(f"{where} has no column {name!r} (data.{key}). It has: {', '.join(map(repr, columns))}.")
    if data.text_column == data.label_column:
        raise BadInput(f"data.text_column and data.label_column are both {data.text_column!r}.")


def _hub(data: Data, cache: Path) -> Source:
    name = f"hub dataset {data.hub_id}"
    try:
        found = load_dataset(data.hub_id, data.hub_config, revision=data.hub_revision)
    except DatasetNotFoundError as error:
        raise BadInput(f"data.hub_id: {error} For a private one, log in (hf auth login) or set HF_TOKEN.") from None
    except (
        ConnectionError,
        OSError,
        TimeoutError,
    ) as error:  # requests, httpx and the hub's errors are OSErrors
        raise Unavailable(f"{name}: the hub cannot be reached ({_short(error)}). {OFFLINE}") from None
    except ValueError as error:  # an unknown configuration, named with those that exist
        raise BadInput(f"data.hub_config: {error}") from None
    except Exception as error:
        if "Connection" in type(error).__name__ or "Offline" in type(error).__name__:
            raise Unavailable(f"{name}: the hub cannot be reached ({_short(error)}). {OFFLINE}") from None
        raise
    if "train" not in found:
        raise BadInput(f"{name} has no train split. It has: {', '.join(found)}.")
    splits = {split: found[split] for split in SPLITS if split in found}
    for split, dataset in splits.items():
        _check_columns(f"{name} {split}", dataset.column_names, data)
    feature = splits["train"].features[data.label_column]
    order = list(feature.names) if isinstance(feature, ClassLabel) else None
    strings = {split: _as_strings(dataset, data) for split, dataset in splits.items()}
    # An unlabelled test split (all -1, as in GLUE) cannot be tested on.
    labelled = {split: rows for split, rows in strings.items() if any(rows[:100]["label"])}
    return Source(labelled, {split: f"{name} {split}" for split in labelled}, first_row=0, label_order=order)


def _as_strings(dataset: Dataset, data: Data) -> Dataset:
    """Two columns, ``text`` and ``label``, as strings; class numbers become their names."""
    dataset = dataset.select_columns([data.text_column, data.label_column])
    feature = dataset.features[data.label_column]
    names = feature.names if isinstance(feature, ClassLabel) else None
    plain = Features({"text": Value("string"), "label": Value("string")})
    same = {data.text_column: "text", data.label_column: "label"}
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
        "text": [_plain(text) for text in batch["text"]],
        "label": [label(value) for value in batch["label"]],
    }


def _plain(value: Any) -> str | None:
    if value is None or value != value:  # NaN, which a missing number becomes
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _listed(files: list[Path]) -> str:
    return ", ".join(file.name for file in files)


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__
