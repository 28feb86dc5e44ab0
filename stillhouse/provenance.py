"""The origin of results: digests of files, and the commit of the code."""

import hashlib
import os
import subprocess
from pathlib import Path


def file_md5(path: Path) -> str:
    """The file's MD5 in hex. DVC records the same hash."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def folder_md5(folder: Path, pattern: str = "*") -> str:
    """One MD5 of the relative paths and contents of all files below ``folder`` whose names match ``pattern``."""
    files = sorted(path for path in folder.rglob(pattern) if path.is_file())
    lines = [f"{path.relative_to(folder).as_posix()} {file_md5(path)}" for path in files]
    return hashlib.md5("\n".join(lines).encode(), usedforsecurity=False).hexdigest()


def code_md5() -> str:
    """One MD5 of this package's source files."""
    return folder_md5(Path(__file__).parent, "*.py")


def git_commit() -> str:
    """The checked-out commit, with ``-dirty`` if tracked files have changes; ``none`` outside Git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    # Without this variable, `git describe` writes the index and can disturb another git process.
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "none"


def lock_md5() -> str:
    """The MD5 of ``dvc.lock``, which identifies the state of all stages; ``none`` before the first run."""
    return file_md5(Path("dvc.lock")) if Path("dvc.lock").exists() else "none"
