"""What was measured, on disk the moment it was: one JSON object a line, so that a killed run loses nothing."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

OUT = "OUT"  # names a folder whose files come back from a machine that is lent


class Record:
    """The lines of one run; each has ``part``, and one of ``row``, ``note``, ``machine`` or ``state``."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def begin(self) -> None:
        """Start an empty record."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text("", encoding="utf-8")

    def add(self, part: str, **content: Any) -> None:
        """Append a line and wait until the disk has it."""
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"part": part, **content}, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        bring_back(self.file)

    def lines(self) -> list[dict[str, Any]]:
        """All whole lines; the last may have been cut by a kill."""
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
        """What the run was measured on; empty where it was cut before."""
        return next((line["machine"] for line in self.lines() if "machine" in line), {})

    def value(self, part: str, column: str) -> float | None:
        """A number that ``part`` measured, from its first row that has the column."""
        rows = [line["row"] for line in self.lines() if line["part"] == part and "row" in line]
        return next((row[column] for row in rows if column in row), None)


def bring_back(file: Path) -> None:
    """Copy ``file`` into the folder that the environment variable OUT names, where there is one."""
    if folder := os.environ.get(OUT):
        Path(folder).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, Path(folder) / file.name)
