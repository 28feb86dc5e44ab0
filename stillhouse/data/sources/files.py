"""The source ``files``: a local CSV, TSV, JSON Lines or Parquet file, or a folder of them."""

import logging
from pathlib import Path

from datasets import Dataset

from stillhouse.data.readers import Columns, open_split, split_files
from stillhouse.data.source import Source, as_strings
from stillhouse.params import Data
from stillhouse.registry import register

logger = logging.getLogger(__name__)


@register
def files(data: Data, cache: Path) -> Source:
    """Read the files that ``data.path`` names, each as a split.

    Raises:
        BadInput: a file or column is missing, empty, of an unknown kind or not decodable.
    """
    found = split_files(Path(data.path), data.unlabelled)
    read: dict[str, Dataset] = {}
    formats: dict[str, dict[str, str]] = {}
    first_rows: dict[str, int] = {}
    for split, file in found.items():
        table, wanted = open_split(file, data, split)
        names = table.class_names if isinstance(table, Columns) else None
        read[split] = as_strings(table.batches(list(wanted.columns.values())), wanted, names, cache / f"{split}.arrow")
        logger.info("%s", table.description(len(read[split])))
        formats[split], first_rows[split] = table.settings, table.first_row
    unlabelled = read.pop(data.unlabelled) if data.unlabelled else None
    return Source(read, {split: str(found[split]) for split in read}, first_rows, None, unlabelled, formats)
