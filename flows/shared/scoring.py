"""Checks of ``score`` before it labels: settings, files, columns, and that no other run writes the target."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from filelock import FileLock, Timeout
from pydantic import ValidationError

from flows.shared.labeller import ADDED
from stillhouse.data.readers import LINE, JsonLines, Table, Wanted, check_types, open_table
from stillhouse.data.writers import JSON, TARGETS, writable
from stillhouse.errors import BadInput, listed
from stillhouse.params import Format
from stillhouse.pipeline.slots import lock_folder


def format_of(delimiter: str, quoting: str, escape: str | None, encoding: str) -> Format:
    """Return the options as a ``Format``. Raises BadInput if a value is not allowed."""
    escape = None if escape in ("none", "null") else escape
    try:
        return Format(delimiter=delimiter, quoting=quoting, escape=escape, encoding=encoding)
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ")
        raise BadInput(f"--{first['loc'][0]}: {reason}, but is {first['input']!r}.") from None


@contextmanager
def lock_target(target: str) -> Iterator[None]:
    """Lock the target: two runs would write into the same folder of finished chunks.

    Raises:
        BadInput: another run on this machine writes this file or folder.
    """
    name = hashlib.md5(str(Path(target).resolve()).encode(), usedforsecurity=False).hexdigest()
    lock = FileLock(lock_folder() / f"score-{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BadInput(
            f"{target} is being written by another score run. Wait until it has ended, or name another target."
        ) from None
    try:
        yield
    finally:
        lock.release()


def check_numbers(least: float | None, chunk: int) -> None:
    """Check ``--min-confidence`` and ``--chunk``. Raises BadInput."""
    if least is not None and not 0 <= least <= 1:
        raise BadInput(f"--min-confidence is {least:g}; it must be from 0 to 1.")
    if chunk < 1:
        raise BadInput(f"--chunk is {chunk}; it must be at least 1.")


def check(source: Path, target: Path, wanted: Wanted, added: pa.Schema = ADDED) -> tuple[Table, pa.Schema]:
    """Check that the source can be read and labelled and the target written. Raises BadInput.

    Returns:
        The table, and the schema of the columns that are written in addition to the new ones, ``added``.
    """
    _check_files(source, target)
    table = open_table(source, wanted)
    check_names(str(source), table.schema.names, added)
    check_types(source, table.schema, wanted)
    if isinstance(table, JsonLines):
        if target.suffix.lower() in JSON:
            return table, pa.schema([(LINE, pa.string())])
        if table.nested:
            names = listed(list(map(repr, table.nested)))
            raise BadInput(f"{target} cannot hold the lists and objects in {source}: {names}. Write JSON Lines.")
    return table, writable(table.schema.remove_metadata(), target)


def check_names(where: str, names: Sequence[str], added: pa.Schema = ADDED, folders: Sequence[str] = ()) -> None:
    """Check the names of a table's columns. Raises BadInput if one is taken already, or occurs twice.

    Args:
        where: the table, for the message.
        names: of its columns.
        added: the columns that are added.
        folders: further columns that the path of the table has (Hive).
    """
    if taken := [name for name in added.names if name in names or name in folders]:
        raise BadInput(f"{where} has a column {taken[0]!r} already, which would be lost. Rename it first.")
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadInput(f"{where} has more than one column {twice[0]!r}. Rename all but one.")


def _check_files(source: Path, target: Path) -> None:
    if target.suffix.lower() not in TARGETS:
        raise BadInput(
            f"{target} is of an unknown kind; a file to write must end in {', '.join(TARGETS)}, a folder in /."
        )
    if not source.exists():
        raise BadInput(f"{source} does not exist.")
    if target.is_dir():
        raise BadInput(f"{target} is a folder; name a file to write.")
    if target.resolve() == source.resolve():
        raise BadInput(f"{target} is the table to label, which would be lost; name another file to write.")
    if source.is_dir() and source.resolve() in target.resolve().parents:
        raise BadInput(f"{target} lies in the folder that is read; name a file elsewhere.")
    if not target.parent.exists():
        raise BadInput(f"The folder {target.parent.resolve()} does not exist. Make it, or name a file elsewhere.")
    if not target.parent.is_dir() or not os.access(target.parent, os.W_OK):
        raise BadInput(f"{target.parent.resolve()} is no folder that you may write to.")
