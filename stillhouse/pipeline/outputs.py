"""A stage's last good outputs, from DVC's cache."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

NOWHERE = "Is your cache up to date?"  # DVC's words where its cache has none of the outputs, as in a fresh clone
LIMIT_S = 3600.0  # large outputs on a slow disk take many minutes


def bring_back(address: str, say: Callable[[str], None], folder: Path = Path()) -> None:
    """``dvc checkout`` of a stage that failed, in the project ``folder``. Where that fails, ``say`` gets the reason."""
    lock = folder / "dvc.lock"
    if not lock.exists() or f"\n  {address}:\n" not in lock.read_text(encoding="utf-8"):
        return
    words = ["checkout", "--force", address]
    child = subprocess.Popen(
        [sys.executable, "-m", "dvc", *words],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    why = ""
    try:
        lines = child.communicate(timeout=LIMIT_S)[1].strip().splitlines()
        if child.returncode and not any(NOWHERE in line for line in lines):
            why = lines[-1] if lines else f"status {child.returncode}"
    except subprocess.TimeoutExpired:
        why = f"stopped after {LIMIT_S / 60:.0f} minutes"
    finally:
        if child.poll() is None:  # also where a signal ends this process
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
    if why:
        say(f"the last outputs of {address} are not all back ({why}). Bring them back: dvc {' '.join(words)}")
