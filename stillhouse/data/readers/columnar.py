"""Readers of Parquet, in one file or in the parts of a folder, and of data sets of ``Dataset.save_to_disk``."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from datasets import ClassLabel, Dataset, Features, load_from_disk

from stillhouse.data.readers.table import BATCH_ROWS, Table, partition_columns
from stillhouse.data.readers.values import check_types, is_text
from stillhouse.data.readers.wanted import Wanted
from stillhouse.errors import BadInput


class Columns(Table):
    """A table with column types. ``class_names`` are the names of the classes if the label column has class numbers."""

    class_names: list[str] | None = None

    def _set_names(self, features: Features | None, wanted: Wanted) -> None:
        feature = (features or {}).get(wanted.columns.get("label_column", ""))
        self.class_names = list(feature.names) if isinstance(feature, ClassLabel) else None


class Parquet(Columns):
    """Parquet files, in the order of their names. Columns from the names of Hive's folders are strings."""

    def __init__(self, path: Path, parts: list[Path], wanted: Wanted) -> None:
        try:
            schemas = [pq.read_schema(part) for part in parts]
            fixed = pa.schema([(name, pa.string()) for name in partition_columns(path, parts[0])])
            schema = pa.unify_schemas([*schemas, *([fixed] if fixed.names else [])], promote_options="permissive")
            rows = sum(pq.read_metadata(part).num_rows for part in parts)
        except Exception as error:  # the errors of pyarrow have no common base
            if len(parts) > 1 and isinstance(error, pa.ArrowTypeError | pa.ArrowInvalid) and "merge" in str(error):
                raise BadInput(f"{path}: its parts differ. {error}. Write them with the same types.") from None
            raise BadInput(f"{path} is not a Parquet file: {error}") from None
        wanted.check(path, schema.names)
        check_types(path, schema, wanted)
        if not rows:
            raise BadInput(f"{path} has columns but no rows.")
        hive = pads.partitioning(fixed, flavor="hive") if fixed.names else None
        base = str(path) if path.is_dir() else None
        self._dataset = pads.dataset(
            [str(part) for part in parts], schema=schema, format="parquet", partitioning=hive, partition_base_dir=base
        )
        super().__init__(path, schema, 1, {"format": "Parquet"})
        try:
            self._set_names(Features.from_arrow_schema(schemas[0]), wanted)
        except Exception:  # another column has a type that datasets does not support
            self._set_names(None, wanted)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows in order, with these columns. Raises BadInput: a damaged file, or text that is not UTF-8."""
        row = self.first_row
        try:
            for batch in self._dataset.to_batches(
                columns=list(columns), batch_size=BATCH_ROWS, batch_readahead=1, fragment_readahead=1, use_threads=False
            ):
                yield _checked(batch, self.path, row)
                row += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise BadInput(f"{self.path} cannot be read as Parquet after row {row - 1}: {error}") from None


class Saved(Columns):
    """A folder that ``Dataset.save_to_disk`` wrote."""

    def __init__(self, path: Path, parts: list[Path], wanted: Wanted) -> None:
        try:
            found = load_from_disk(str(path))
        except Exception as error:  # datasets passes on errors of several libraries
            raise BadInput(f"{path} cannot be read as a saved data set: {error}") from None
        if not isinstance(found, Dataset):
            raise BadInput(f"{path} holds several splits. Give the folder of one.")
        self._dataset = found
        schema = found.features.arrow_schema
        wanted.check(path, schema.names)
        check_types(path, schema, wanted)
        if not len(found):
            raise BadInput(f"{path} has columns but no rows.")
        super().__init__(path, schema, 1, {"format": "Arrow"})
        self._set_names(found.features, wanted)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows in order, with these columns."""
        chosen = self._dataset.select_columns(list(columns)).with_format("arrow")
        for table in chosen.iter(BATCH_ROWS):
            yield from table.combine_chunks().to_batches()


def _checked(batch: pa.RecordBatch, path: Path, first: int) -> pa.RecordBatch:
    """Return the batch. Raises BadInput: a string is not UTF-8, which pyarrow itself does not check."""
    if any(is_text(kind) for kind in batch.schema.types) and _is_damaged(batch):
        row = next((row for row in range(batch.num_rows) if _is_damaged(batch.slice(row, 1))), 0)
        raise BadInput(
            f"{path} row {row + first} is not UTF-8, as text in Parquet must be. Write the file again from "
            "decoded strings."
        )
    return batch


def _is_damaged(batch: pa.RecordBatch) -> bool:
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        return True
    return False
