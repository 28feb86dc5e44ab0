"""Libraries on a machine where nothing can be installed: wheels that were carried there, unpacked.

Imports the standard library alone.
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
    """Put the carried wheels on the path of this process and its children, where a library is missing.

    Raises:
        SystemExit: a library is missing, and so are the wheels.
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
        sys.exit(f"{', '.join(still)}: not among the wheels in {WHEELS}. Run `make gpu-wheels` anew.")
    print(f"{', '.join(missing)}: from {WHEELS}", flush=True)


def _is_here(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent package is missing
        return False
