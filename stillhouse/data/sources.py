"""Where labelled texts come from: the packaged sample, local files, or a Hugging Face dataset.

Every source becomes the same thing: for each of its splits a memory-mapped ``Dataset`` with the columns
``text`` and ``label`` (strings, null where the source has none) in the source's own row order.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset, disable_progress_bars, load_dataset
from datasets.exceptions import DatasetNotFoundError

from stillhouse.data.readers import (
    ROWS,
    SPLITS,
    Columns,
    Wanted,
    check_types,
    of_data,
    open_table,
    split_files,
    strings,
)
from stillhouse.data.sample import sample_texts
from stillhouse.errors import BadInput, Unavailable
from stillhouse.params import Data

logger = logging.getLogger(__name__)
NAMES = {"text_column": "text", "label_column": "label"}
OFFLINE = (
    "Without the hub: point data.path at local files (data.source: files), or fill a cache on a connected "
    "machine and set HF_HOME to it with HF_HUB_OFFLINE=1, or set HF_ENDPOINT to a mirror."
)


@dataclass(frozen=True)
class Source:
    """Texts as they came: splits, where each is from, and the number of the first row there (1 unless given).

    ``unlabelled`` has the column ``text`` alone. ``formats`` is how each file is written, as it was set or detected.
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
    files = split_files(Path(data.path), data.unlabelled)
    read: dict[str, Dataset] = {}
    formats: dict[str, dict[str, str]] = {}
    first_rows: dict[str, int] = {}
    for split, file in files.items():
        wanted = of_data(data, labelled=split != data.unlabelled)
        table = open_table(file, wanted)
        names = table.class_names if isinstance(table, Columns) else None
        read[split] = _plain(table.batches(list(wanted.columns.values())), wanted, names, cache / f"{split}.arrow")
        logger.info("%s", table.told(len(read[split])))
        formats[split], first_rows[split] = table.settings, table.first_row
    unlabelled = read.pop(data.unlabelled) if data.unlabelled else None
    return Source(read, {split: str(files[split]) for split in read}, first_rows, None, unlabelled, formats)


def _plain(batches: Iterable[pa.RecordBatch], wanted: Wanted, names: list[str] | None, file: Path) -> Dataset:
    """The wanted columns as strings under plain names, in an Arrow file of that name, memory-mapped."""
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
    if data.unlabelled and data.unlabelled not in found:
        raise BadInput(f"data.unlabelled: {name} has no split {data.unlabelled!r}. It has: {', '.join(found)}.")
    chosen = splits | ({data.unlabelled: found[data.unlabelled]} if data.unlabelled else {})
    strings_of: dict[str, Dataset] = {}
    for split, dataset in chosen.items():
        wanted, where = of_data(data, labelled=split in splits), f"{name} {split}"
        wanted.check(where, dataset.column_names)
        dataset = dataset.select_columns(list(wanted.columns.values()))
        check_types(where, dataset.features.arrow_schema, wanted)
        feature = dataset.features.get(data.label_column) if split in splits else None
        names = list(feature.names) if isinstance(feature, ClassLabel) else None
        strings_of[split] = _plain(_batches(dataset), wanted, names, cache / f"{split}.arrow")
    feature = splits["train"].features[data.label_column]
    # Cleaning strips labels, so the names of classes are stripped, too.
    order = list(dict.fromkeys(one.strip() for one in feature.names)) if isinstance(feature, ClassLabel) else None
    unlabelled = strings_of.pop(data.unlabelled) if data.unlabelled else None
    # A test split without labels (all -1, as in GLUE) cannot be tested on.
    labelled = {split: rows for split, rows in strings_of.items() if split == "train" or _has_label(rows)}
    for split in strings_of.keys() - labelled.keys():
        logger.warning("%s %s has no labels: it is left out", name, split)
    first = dict.fromkeys(labelled, 0)
    return Source(labelled, {split: f"{name} {split}" for split in labelled}, first, order, unlabelled)


def _batches(dataset: Dataset) -> Iterator[pa.RecordBatch]:
    for table in dataset.with_format("arrow").iter(ROWS):
        yield from table.combine_chunks().to_batches()


def _has_label(rows: Dataset) -> bool:
    chunks = rows.data.column("label").chunks
    return any(bool(pc.any(pc.not_equal(pc.utf8_trim_whitespace(chunk), "")).as_py()) for chunk in chunks)


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__
