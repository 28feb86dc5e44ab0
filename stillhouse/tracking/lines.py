"""A JSON Lines file that survives crashes, full disks and damaged lines."""

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Entry = dict[str, Any]
logger = logging.getLogger(__name__)


class Lines:
    """The entries in the file ``path``. ``held`` has the entries that are not on disk because it is full."""

    def __init__(self, path: Path) -> None:
        self.path, self.held = path, list[bytes]()
        self._warned = False

    def add(self, entry: Entry) -> None:
        """Append ``entry``. Half of a surrogate pair becomes a question mark, because UTF-8 cannot encode it."""
        self.held.append(json.dumps(entry, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
        self.write()

    def write(self) -> None:
        """Write the held entries. If that fails, they stay in memory, and the file is as it was before."""
        if not self.held:
            return
        try:
            with self.path.open("ab") as file:
                start = file.tell()
                try:
                    # If a crash cut the last line short, a line break separates it from the new entries.
                    file.write(b"".join([b"" if self._ended(start) else b"\n", *self.held]))
                    file.flush()
                except OSError:
                    os.truncate(self.path, start)
                    raise
            self.held = []
        except OSError as error:
            if not self._warned:
                logger.warning("%s cannot be written (%s); the tracking entries are held in memory", self.path, error)
            self._warned = True

    def _ended(self, size: int) -> bool:
        if not size:
            return True
        with self.path.open("rb") as file:
            file.seek(size - 1)
            return file.read(1) == b"\n"

    def after(self, start: int) -> Iterator[tuple[Entry | None, int]]:
        """The entries on disk from byte ``start`` on, each with the end of its line in bytes; None: a damaged line.

        A last line without a line break is left out: another process is writing it, or died while it did.
        """
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(start)
                for line in file:
                    if not line.endswith(b"\n"):
                        return
                    start += len(line)
                    yield parsed(line), start


def parsed(line: bytes) -> Entry | None:
    """The entry in ``line``; None if the line is damaged."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("what"), str) else None
