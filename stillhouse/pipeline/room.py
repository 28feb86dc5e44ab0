"""Check that the disk has enough free space for a run."""

import shutil
from pathlib import Path

from stillhouse.errors import BadInput
from stillhouse.project import OUTPUTS

FACTOR = 3  # new outputs, DVC's copy of them, and checkpoints
MINIMUM = 10**9


def size_of(folder: Path) -> int:
    """Return the bytes of a file, or of all files in a folder. Targets of links are not counted."""
    files = [folder] if folder.is_file() else folder.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file() and not file.is_symlink())


def needed_bytes() -> int:
    """Return the bytes that a run may need: at least 1 GB, and ``FACTOR`` times the last outputs, links included."""
    last = sum(file.stat().st_size for file in OUTPUTS.rglob("*") if file.is_file())
    return max(MINIMUM, FACTOR * last)


def check_disk_space() -> None:
    """Raise :class:`BadInput` if a run would probably fill the disk."""
    free, wanted = shutil.disk_usage(Path()).free, needed_bytes()
    if free < wanted:
        raise BadInput(
            f"Only {free / 1e9:.1f} GB are free on this disk; a run here takes up to {wanted / 1e9:.1f}. Free some: "
            "`stillhouse gc` removes files that no version and no commit needs."
        )
