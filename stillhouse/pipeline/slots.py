"""Slots for training on this machine: file locks, which the operating system frees when their process ends.

A GPU belongs to a machine and not to a Prefect server, so all projects of a user on the machine share the slots.
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

POLL_S, LOG_EVERY_S = 0.5, 20.0


@contextmanager
def gpu_slot(count: int, log: Callable[[str], None], device: str = "auto") -> Iterator[None]:
    """Hold one of ``count`` slots for training during the block.

    A process that has to wait logs this at once and then every 20 s. Without a GPU the slots share the CPU cores.

    Args:
        count: number of slots.
        log: receives the messages about waiting.
        device: ``device`` of ``params.yaml``.

    Raises:
        BadInput: ``device`` names a GPU that is not visible.
    """
    since, logged = datetime.now(), 0.0
    while not (lock := _take_free_slot(count, device)):
        if ending.is_set():
            raise KeyboardInterrupt
        if time.monotonic() - logged >= LOG_EVERY_S:
            log(f"waiting since {since:%H:%M:%S} for a GPU slot (flow.gpu_slots): other trainings have all {count}")
            logged = time.monotonic()
        time.sleep(POLL_S)
    try:
        yield
    finally:
        lock.release()


def lock_folder() -> Path:
    """Return the folder for this user's locks on this machine."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stillhouse"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _take_free_slot(count: int, device: str) -> FileLock | None:
    """Take a free slot; None if all are held."""
    gpu = one_gpu(device, os.environ.get(VARIABLE)) or "0"
    folder = lock_folder()
    for slot in range(count):
        lock = FileLock(folder / f"gpu-{gpu.replace('/', '_')}-{slot}.lock", thread_local=False)
        try:
            return lock.acquire(timeout=0).lock
        except Timeout:
            continue
    return None
