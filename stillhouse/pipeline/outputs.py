"""Restore the last good outputs of a stage from DVC's cache."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

NOT_IN_CACHE = "Is your cache up to date?"  # DVC's message if its cache has none of the outputs, as in a fresh clone
TIMEOUT_S = 3600.0  # large outputs on a slow disk take many minutes


def restore_outputs(address: str, log: Callable[[str], None], folder: Path = Path()) -> None:
    """Run ``dvc checkout`` for a failed stage, in the project ``folder``. ``log`` receives the reason of a failure."""
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
    reason = ""
    try:
        lines = child.communicate(timeout=TIMEOUT_S)[1].strip().splitlines()
        if child.returncode and not any(NOT_IN_CACHE in line for line in lines):
            reason = lines[-1] if lines else f"status {child.returncode}"
    except subprocess.TimeoutExpired:
        reason = f"stopped after {TIMEOUT_S / 60:.0f} minutes"
    finally:
        if child.poll() is None:  # after a timeout, or if a signal ends this process
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
    if reason:
        log(f"the last outputs of {address} were not all restored ({reason}). Restore them: dvc {' '.join(words)}")
