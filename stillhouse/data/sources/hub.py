"""The source ``hub``: a dataset of the Hugging Face hub, or a local folder in the hub's format."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset, DatasetDict, load_dataset
from datasets.exceptions import DatasetNotFoundError

from stillhouse.data.readers import BATCH_ROWS, SPLITS, Wanted, check_types, may_lack_labels, wanted_columns
from stillhouse.data.source import Source, as_strings
from stillhouse.errors import BadInput, Unavailable
from stillhouse.params import Data
from stillhouse.registry import register

logger = logging.getLogger(__name__)
OFFLINE = (
    "Without the hub: point data.path at local files (data.source: files), or fill a cache on a connected "
    "machine and set HF_HOME to it with HF_HUB_OFFLINE=1, or set HF_ENDPOINT to a mirror."
)


def open_dataset(hub_id: str, config: str | None, revision: str | None) -> DatasetDict:
    """Fetch a dataset of the hub, or open a local folder in the hub's format.

    Raises:
        BadInput: the dataset or its configuration does not exist, or it has no split train.
        Unavailable: the hub does not answer.
    """
    name = f"hub dataset {hub_id}"
    try:
        found = load_dataset(hub_id, config, revision=revision)
    except DatasetNotFoundError as error:
        raise BadInput(f"data.hub_id: {error} For a private one, log in (hf auth login) or set HF_TOKEN.") from None
    except (
        ConnectionError,
        OSError,
        TimeoutError,
    ) as error:  # errors of requests, httpx and the hub are OSErrors
        raise Unavailable(f"{name}: the hub cannot be reached ({_short(error)}). {OFFLINE}") from None
    except ValueError as error:  # an unknown configuration; the message lists the existing ones
        raise BadInput(f"data.hub_config: {error}") from None
    except Exception as error:
        if "Connection" in type(error).__name__ or "Offline" in type(error).__name__:
            raise Unavailable(f"{name}: the hub cannot be reached ({_short(error)}). {OFFLINE}") from None
        raise
    if "train" not in found:
        raise BadInput(f"{name} has no train split. It has: {', '.join(found)}.")
    return found


@register
def hub(data: Data, cache: Path) -> Source:
    """Read the splits of the dataset ``data.hub_id``.

    Raises:
        BadInput: the dataset, a configuration, split or column does not exist, or a column has an unknown type.
        Unavailable: the hub does not answer.
    """
    name = f"hub dataset {data.hub_id}"
    found = open_dataset(data.hub_id or "", data.hub_config, data.hub_revision)
    splits = {split: found[split] for split in SPLITS if split in found}
    if data.unlabelled and data.unlabelled not in found:
        raise BadInput(f"data.unlabelled: {name} has no split {data.unlabelled!r}. It has: {', '.join(found)}.")
    chosen = splits | ({data.unlabelled: found[data.unlabelled]} if data.unlabelled else {})
    strings_of: dict[str, Dataset] = {}
    for split, dataset in chosen.items():
        without = may_lack_labels(data, split) and data.label_column not in dataset.column_names
        wanted = wanted_columns(data, labelled=split in splits and not without)
        strings_of[split] = _strings(dataset, wanted, f"{name} {split}", cache / f"{split}.arrow")
    feature = splits["train"].features.get(data.label_column or "")
    # Cleaning strips labels, so strip the names of the classes too.
    order = list(dict.fromkeys(one.strip() for one in feature.names)) if isinstance(feature, ClassLabel) else None
    unlabelled = strings_of.pop(data.unlabelled) if data.unlabelled else None
    labelled = {split: rows for split, rows in strings_of.items() if _is_used(split, rows, data)}
    for split in strings_of.keys() - labelled.keys():
        logger.warning("%s %s has no labels: it is left out", name, split)
    first = dict.fromkeys(labelled, 0)
    return Source(labelled, {split: f"{name} {split}" for split in labelled}, first, order, unlabelled)


def _strings(dataset: Dataset, wanted: Wanted, where: str, file: Path) -> Dataset:
    wanted.check(where, dataset.column_names)
    dataset = dataset.select_columns(list(wanted.columns.values()))
    check_types(where, dataset.features.arrow_schema, wanted)
    feature = dataset.features.get(wanted.columns.get("label_column", ""))
    names = list(feature.names) if isinstance(feature, ClassLabel) else None
    return as_strings(as_batches(dataset), wanted, names, file)


def as_batches(dataset: Dataset) -> Iterator[pa.RecordBatch]:
    """Yield the rows in order."""
    for table in dataset.with_format("arrow").iter(BATCH_ROWS):
        yield from table.combine_chunks().to_batches()


def _is_used(split: str, rows: Dataset, data: Data) -> bool:
    """Whether a split is used: a test split without labels (all -1, as in GLUE) cannot measure a model."""
    if split == "train" or may_lack_labels(data, split):
        return True
    chunks = rows.data.column("label").chunks
    return any(bool(pc.any(pc.not_equal(pc.utf8_trim_whitespace(chunk), "")).as_py()) for chunk in chunks)


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__
