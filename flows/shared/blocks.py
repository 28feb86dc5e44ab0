"""Labels one file (block) of a folder. The result is a complete file and its note in the ledger, or nothing.

It imports little, because every worker of a cluster loads it.
"""

import json
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from flows.shared.labeller import ADDED, Labeller
from stillhouse.errors import BadInput
from stillhouse.provenance import file_md5

STATE = "_stillhouse"  # readers of Parquet ignore names that start with an underscore or a dot
LEDGER = f"{STATE}/blocks"
PARTIAL = ".partial"
# What object stores say about the content of a file, or about the time of its last change.
MARKS = (
    "size",
    "ETag",
    "etag",
    "md5Hash",
    "generation",
    "mtime",
    "LastModified",
    "last_modified",
    "updated",
    "created",
)


@dataclass(frozen=True)
class Folder:
    """A folder on any file system of fsspec.

    Attributes:
        fs: the file system.
        root: the path of the folder in it, without a slash at the end.
    """

    fs: AbstractFileSystem
    root: str

    @property
    def local(self) -> bool:
        """Whether the folder is in this machine's file system."""
        return isinstance(self.fs, LocalFileSystem)

    def path(self, name: str = "") -> str:
        """Return the path of a file in the folder."""
        return f"{self.root}/{name}" if name else self.root

    def shown(self, name: str = "") -> str:
        """Return the path as messages show it: with the protocol, unless it is local."""
        return self.path(name) if self.local else str(self.fs.unstrip_protocol(self.path(name)))

    def identity(self, name: str) -> dict[str, str] | None:
        """Return what changes with the content of a file: its MD5, or size and ETag or time. None if it is missing."""
        try:
            if self.local:
                return {"md5": file_md5(Path(self.path(name)))}
            found = self.fs.info(self.path(name))
        except FileNotFoundError:
            return None
        return {key: str(found[key]) for key in MARKS if found.get(key) is not None}

    def read_json(self, name: str) -> dict[str, Any] | None:
        """Return the content of a JSON file; None if it is missing or damaged."""
        try:
            content = json.loads(self.fs.cat_file(self.path(name)))
        except (FileNotFoundError, ValueError):
            return None
        return content if isinstance(content, dict) else None

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write a JSON file, completely or not at all."""
        with self.writing(name) as draft:
            draft.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def remove_drafts(self) -> None:
        """Remove what killed processes left in a local folder."""
        if self.local:
            for draft in Path(self.root).rglob(f".*{PARTIAL}"):
                draft.unlink(missing_ok=True)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yield a local path; at the end of the block its file becomes ``name``, in one step.

        In a local folder the draft is beside the file. Elsewhere it is in a temporary folder, and one put uploads it.
        """
        with tempfile.TemporaryDirectory() as scratch:
            if self.local:
                file = Path(self.path(name))
                file.parent.mkdir(parents=True, exist_ok=True)
                # Two workers have one block if a cluster gives up a worker that is only out of reach.
                draft = file.with_name(f".{file.name}.{uuid.uuid4().hex}{PARTIAL}")
            else:
                draft = Path(scratch) / "block"
            try:
                yield draft
                if self.local:
                    draft.replace(file)
                else:
                    self.fs.put_file(str(draft), self.path(name))
            finally:
                draft.unlink(missing_ok=True)


@dataclass(frozen=True)
class Block:
    """A Parquet file of the source.

    Attributes:
        name: its path in the source, and in the target.
        rows: their number.
        schema: of the columns that are written in addition to ``ADDED``.
    """

    name: str
    rows: int
    schema: pa.Schema


@dataclass(frozen=True)
class Work:
    """What all blocks of a run share.

    Attributes:
        source: the folder to read.
        target: the folder to write.
        labeller: adds the answers.
        settings: all that the answers depend on, beside the texts.
        chunk: rows in memory at a time.
    """

    source: Folder
    target: Folder
    labeller: Labeller
    settings: dict[str, Any]
    chunk: int


def label_block(work: Work, block: Block) -> dict[str, Any]:
    """Label a block, unless the ledger shows that this was done and nothing has changed since.

    Returns:
        The block's note in the ledger, with ``name`` and whether it was ``resumed``.

    Raises:
        BadInput: the file is damaged, or cannot be written.
    """
    now = {"input": work.source.identity(block.name), "settings": work.settings}
    ledger = f"{LEDGER}/{block.name}.json"
    note = work.target.read_json(ledger)
    if note and now == {key: note.get(key) for key in now} and note.get("output") == work.target.identity(block.name):
        return note | {"name": block.name, "resumed": True}
    try:
        with work.target.writing(block.name) as draft:
            rows = _write(work, block, draft)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{work.source.shown(block.name)} could not be labelled into {work.target.shown(block.name)}: {error}"
        ) from None
    note = now | {"output": work.target.identity(block.name), "rows": rows}
    work.target.write_json(ledger, note)
    return note | {"name": block.name, "resumed": False}


def _write(work: Work, block: Block, draft: Path) -> int:
    schema, rows = pa.schema([*block.schema, *ADDED]), 0
    with work.source.fs.open(work.source.path(block.name), "rb") as file:
        parquet = pq.ParquetFile(file)
        columns = [parquet.schema.column(place).path for place in range(len(parquet.schema))]
        repeated = [column for column in columns if column != work.labeller.column]  # most texts occur once
        with pq.ParquetWriter(draft, schema, use_dictionary=[*repeated, "label"]) as writer:
            for batch in parquet.iter_batches(work.chunk):
                table = work.labeller(pa.Table.from_batches([batch]))
                writer.write_table(table.select(schema.names).cast(schema))
                rows += len(table)
    return rows
