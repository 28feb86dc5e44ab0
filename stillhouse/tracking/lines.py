"""A file of entries, one JSON object a line, that survives crashes, full disks and damaged lines."""

import json
import logging
import os
from pathlib import Path
from typing import Any

Entry = dict[str, Any]
logger = logging.getLogger(__name__)


class Lines:
    """The entries in ``path``, and those that there is no room for, which are held in memory (``held``)."""

    def __init__(self, path: Path) -> None:
        self.path, self.held = path, list[bytes]()
        self._warned = False

    def add(self, entry: Entry) -> None:
        """Append ``entry``. Half of a surrogate pair becomes a question mark: UTF-8 has no bytes for it."""
        self.held.append(json.dumps(entry, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
        self.write()

    def write(self) -> None:
        """Write what is held; where the disk is full it stays held, and what is on disk stays whole."""
        if not self.held:
            return
        try:
            with self.path.open("ab") as file:
                start = file.tell()
                try:
                    # After a line that a crash cut short a new one begins.
                    file.write(b"".join([b"" if self._ended(start) else b"\n", *self.held]))
                    file.flush()
                except OSError:
                    os.truncate(self.path, start)
                    raise
            self.held = []
        except OSError as error:
            if not self._warned:
                logger.warning("%s cannot be written (%s); what there is to track is held in memory", self.path, error)
            self._warned = True

    def _ended(self, size: int) -> bool:
        if not size:
            return True
        with self.path.open("rb") as file:
            file.seek(size - 1)
            return file.read(1) == b"\n"

    def after(self, start: int) -> list[tuple[Entry | None, int]]:
        """The entries on disk from byte ``start`` on, each with where its line ends; None for a damaged line."""
        found: list[tuple[Entry | None, int]] = []
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(start)
                for line in file:
                    start += len(line)
                    found.append((parsed(line), start))
        return found


def parsed(line: bytes) -> Entry | None:
    """The entry in ``line``; None where there is none."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("what"), str) else None
