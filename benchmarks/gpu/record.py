"""The record of a run: a JSON Lines file. Each number is written at once, so that a killed run loses nothing."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

OUT = "OUT"  # environment variable with a folder, into which the results are also copied


class Record:
    """The lines of one run. Each has ``part``, and one of ``row``, ``note``, ``machine`` or ``state``."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def begin(self) -> None:
        """Start an empty record."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text("", encoding="utf-8")

    def add(self, part: str, **content: Any) -> None:
        """Append a line and wait until it is on the disk."""
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"part": part, **content}, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        bring_back(self.file)

    def lines(self) -> list[dict[str, Any]]:
        """All complete lines. The last one is incomplete if the run was killed."""
        if not self.file.is_file():
            return []
        found = []
        for line in self.file.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def machine(self) -> dict[str, Any]:
        """The machine of the run; empty if the run ended before it was recorded."""
        return next((line["machine"] for line in self.lines() if "machine" in line), {})

    def value(self, part: str, column: str) -> float | None:
        """A number of ``part``: from its first row with the column; None if there is none."""
        rows = [line["row"] for line in self.lines() if line["part"] == part and "row" in line]
        return next((row[column] for row in rows if column in row), None)


def bring_back(file: Path) -> None:
    """Copy ``file`` into the folder that the environment variable OUT names, if it is set."""
    if folder := os.environ.get(OUT):
        Path(folder).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, Path(folder) / file.name)
