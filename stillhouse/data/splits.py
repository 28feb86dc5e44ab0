"""Train, validation and test: splitting off what a source lacks, and the files that hold them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Dataset, Features, Value
from sklearn.model_selection import train_test_split

from stillhouse.data.cleaning import Split
from stillhouse.errors import BadInput
from stillhouse.params import Data

BATCH = 1000


def complete(splits: dict[str, Split], data: Data, seed: int) -> dict[str, Split]:
    """Split off, stratified by label, the validation and test sets that the source does not bring.

    Raises:
        BadInput: there are too few rows for a stratified split of the asked size.
    """
    splits = dict(splits)
    total = len(splits["train"].rows)
    for name, fraction in (("test", data.test_fraction), ("validation", data.validation_fraction)):
        if name in splits:
            continue
        train = splits["train"]
        classes = len(np.unique(train.labels))
        # At least one row a class, or stratifying is impossible.
        size = max(round(fraction * total), classes)
        try:
            rest, part = train_test_split(
                np.arange(len(train.rows)), test_size=size, stratify=train.labels, random_state=seed
            )
        except ValueError as error:
            raise BadInput(
                f"{len(train.rows)} rows in {classes} classes are too few to split off {size} for {name} "
                f"(data.{name}_fraction: {fraction}): {error}"
            ) from None
        splits[name] = _subset(train, part)
        splits["train"] = _subset(train, rest)
    return splits


def _subset(split: Split, positions: np.ndarray) -> Split:
    positions = np.sort(positions)  # the source's order, so that the same rows give the same file
    return Split(split.dataset, split.rows[positions], split.labels[positions])


def write_split(split: Split, label_names: list[str], path: Path) -> None:
    """Write ``text`` and ``label`` as an Arrow stream, a batch at a time; same rows, same bytes."""
    schema = Features({"text": Value("string"), "label": ClassLabel(names=label_names)}).arrow_schema
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        for start in range(0, len(split.rows), BATCH):
            rows = split.rows[start : start + BATCH]
            texts = split.dataset[rows.tolist()]["text"]
            labels = pa.array(split.labels[start : start + BATCH], pa.int64())
            writer.write_batch(pa.record_batch([pa.array(texts, pa.string()), labels], schema=schema))


def read_split(path: Path) -> Dataset:
    """A split written by :func:`write_split`, memory-mapped: ``text`` (str) and ``label`` (ClassLabel)."""
    return Dataset.from_file(str(path))


def label_names(dataset: Dataset) -> list[str]:
    """The classes' names, by class number."""
    return list(dataset.features["label"].names)


def labels_of(dataset: Dataset) -> np.ndarray:
    """All class numbers, int64 of shape ``(rows,)``."""
    return dataset.data.column("label").to_numpy().astype(np.int64)
