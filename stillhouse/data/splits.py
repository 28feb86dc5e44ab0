"""The files that hold train, validation and test."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Dataset, Features, Value

BATCH = 1000
MIN_TEXTS = 100  # fewer validation texts cannot show which of two models is better


@dataclass
class Split:
    """The selected rows of one split: ``rows`` (int64, into ``dataset``) and ``labels`` (int64, class numbers)."""

    dataset: Dataset
    rows: np.ndarray
    labels: np.ndarray


def write_split(split: Split, label_names: list[str], path: Path) -> None:
    """Write ``text`` and ``label`` as an Arrow stream, in batches. The same rows give the same bytes."""
    schema = Features({"text": Value("string"), "label": ClassLabel(names=label_names)}).arrow_schema
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        if not len(split.rows):  # a stream without a batch cannot be read back
            writer.write_batch(pa.record_batch([pa.array([], pa.string()), pa.array([], pa.int64())], schema=schema))
        for start in range(0, len(split.rows), BATCH):
            rows = split.rows[start : start + BATCH]
            texts = split.dataset[rows.tolist()]["text"]
            labels = pa.array(split.labels[start : start + BATCH], pa.int64())
            writer.write_batch(pa.record_batch([pa.array(texts, pa.string()), labels], schema=schema))


def write_texts(parts: Iterable[tuple[Dataset, np.ndarray]], path: Path) -> None:
    """Write the column ``text`` of the given rows of each data set as :func:`write_split` does. May be empty."""
    schema = pa.schema([("text", pa.string())])
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        writer.write_batch(
            pa.record_batch([pa.array([], pa.string())], schema=schema)
        )  # a stream without a batch cannot be read back
        for dataset, rows in parts:
            for start in range(0, len(rows), BATCH):
                texts = dataset[rows[start : start + BATCH].tolist()]["text"]
                writer.write_batch(pa.record_batch([pa.array(texts, pa.string())], schema=schema))


def read_split(path: Path) -> Dataset:
    """Read a split of :func:`write_split`, memory-mapped: ``text`` (str) and ``label`` (ClassLabel)."""
    return Dataset.from_file(str(path))


def label_names(dataset: Dataset) -> list[str]:
    """Return the names of the classes, by class number."""
    return list(dataset.features["label"].names)


def labels_of(dataset: Dataset) -> np.ndarray:
    """Return all class numbers, int64 of shape ``(rows,)``."""
    column = dataset.select_columns("label").with_format("arrow")[:]["label"]
    labels: np.ndarray = column.to_numpy().astype(np.int64)
    return labels
