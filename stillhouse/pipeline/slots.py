"""Places for training on this machine: file locks, which the operating system frees when their process ends.

A GPU is a machine's and not a Prefect server's: all projects of a user on it share these.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from stillhouse.models.visible import VARIABLE, one_gpu
from stillhouse.pipeline.ending import ending

LOOK_S, SAY_S = 0.5, 20.0


@contextmanager
def gpu_slot(count: int, say: Callable[[str], None], device: str = "auto") -> Iterator[None]:
    """One of ``count`` places for training on ``device`` (``device`` of ``params.yaml``), for the time of the block.

    Who has to wait says so, at first and then every 20 s. Without a GPU it is the machine's cores that are shared.

    Raises:
        BadInput: ``device`` asks for a GPU that is not visible.
    """
    since, said = datetime.now(), 0.0
    while not (lock := _free(count, device)):
        if ending.is_set():
            raise KeyboardInterrupt
        if time.monotonic() - said >= SAY_S:
            say(f"waiting since {since:%H:%M:%S} for a GPU slot (flow.gpu_slots): other trainings have all {count}")
            said = time.monotonic()
        time.sleep(LOOK_S)
    try:
        yield
    finally:
        lock.release()


def lock_folder() -> Path:
    """Where locks of this user on this machine are."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stillhouse"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _free(count: int, device: str) -> FileLock | None:
    """A place that was free, and is held now."""
    gpu = one_gpu(device, os.environ.get(VARIABLE)) or "0"
    folder = lock_folder()
    for place in range(count):
        lock = FileLock(folder / f"gpu-{gpu.replace('/', '_')}-{place}.lock", thread_local=False)
        try:
            return lock.acquire(timeout=0).lock
        except Timeout:
            continue
    return None
