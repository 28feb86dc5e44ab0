"""Libraries for a machine on which nothing can be installed: unpacks wheels that were copied there.

This module imports the standard library alone.
"""

import importlib.util
import os
import sys
import tempfile
import zipfile
from pathlib import Path

CARRIED = Path(".gpu")  # written by `make gpu-wheels`
WHEELS = CARRIED / "wheels"
NEEDED = ("datasets", "pydantic", "ruamel.yaml")


def libraries() -> None:
    """If a library is missing, unpack the wheels onto the import path of this process and its children.

    Raises:
        SystemExit: a library is missing, and the wheels are missing or do not have it.
    """
    missing = [name for name in NEEDED if not _is_here(name)]
    if not missing:
        return
    wheels = sorted(WHEELS.glob("*.whl"))
    if not wheels:
        sys.exit(
            f"{', '.join(missing)}: not installed, and {WHEELS} holds no wheels. Run `make gpu-wheels` on a machine "
            f"with a network, copy {CARRIED} here, and run this again."
        )
    folder = tempfile.mkdtemp(prefix="stillhouse-libraries-")
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    sys.path.insert(0, folder)
    os.environ["PYTHONPATH"] = os.pathsep.join([folder, *filter(None, [os.environ.get("PYTHONPATH")])])
    importlib.invalidate_caches()
    if still := [name for name in NEEDED if not _is_here(name)]:
        sys.exit(f"{', '.join(still)}: not among the wheels in {WHEELS}. Run `make gpu-wheels` again.")
    print(f"{', '.join(missing)}: from {WHEELS}", flush=True)


def _is_here(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent package is missing
        return False
