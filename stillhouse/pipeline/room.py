"""Is there room on the disk for a run?"""

import shutil
from pathlib import Path

from stillhouse.errors import BadInput
from stillhouse.project import OUTPUTS

TIMES = 3  # new outputs, DVC's copy of them, and checkpoints
LEAST = 10**9


def size_of(folder: Path) -> int:
    """Bytes of all files below, or of the file; what links lead to is not counted."""
    files = [folder] if folder.is_file() else folder.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file() and not file.is_symlink())


def needed() -> int:
    """Bytes that a run may take: some times what the last one left (DVC may link it), and a gigabyte at least."""
    left = sum(file.stat().st_size for file in OUTPUTS.rglob("*") if file.is_file())
    return max(LEAST, TIMES * left)


def check_room() -> None:
    """Raise :class:`BadInput` where a run would most likely fill the disk."""
    free, wanted = shutil.disk_usage(Path()).free, needed()
    if free < wanted:
        raise BadInput(
            f"Only {free / 1e9:.1f} GB are free on this disk; a run here takes up to {wanted / 1e9:.1f}. Free some: "
            "`stillhouse gc` removes what no version and no commit needs."
        )
