"""Slots for training on this machine: file locks, which the operating system frees when their process ends.

A GPU belongs to a machine and not to a Prefect server, so all projects of a user on the machine share the slots.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from stillhouse.models.visible import VARIABLE, chosen_gpus
from stillhouse.pipeline.ending import ending

POLL_S, LOG_EVERY_S = 0.5, 20.0


@contextmanager
def gpu_slot(count: int, log: Callable[[str], None], device: str = "auto", gpus: int = 1) -> Iterator[None]:
    """Hold one of ``count`` slots for training during the block, on each of ``gpus`` GPUs.

    A process that has to wait logs this at once and then every 20 s. Without a GPU the slots share the CPU cores.

    Args:
        count: number of slots.
        log: receives the messages about waiting.
        device: ``device`` of ``params.yaml``.
        gpus: number of GPUs, from ``device`` on.

    Raises:
        BadInput: ``device`` names a GPU that is not visible, or fewer than ``gpus`` are.
    """
    since, logged = datetime.now(), 0.0
    while (locks := _take_free_slots(count, device, gpus)) is None:
        if ending.is_set():
            raise KeyboardInterrupt
        if time.monotonic() - logged >= LOG_EVERY_S:
            log(f"waiting since {since:%H:%M:%S} for a GPU slot (flow.gpu_slots): other trainings have all {count}")
            logged = time.monotonic()
        time.sleep(POLL_S)
    with locks:
        yield


def lock_folder() -> Path:
    """Return the folder for this user's locks on this machine."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stillhouse"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _take_free_slots(count: int, device: str, gpus: int) -> ExitStack | None:
    """Take a free slot of each GPU; none and None if one GPU has no free slot, so that no two wait for each other."""
    with ExitStack() as taken:
        for gpu in chosen_gpus(device, os.environ.get(VARIABLE), gpus) or ["0"]:
            if (lock := _free_slot(count, gpu)) is None:
                return None
            taken.callback(lock.release)
        return taken.pop_all()


def _free_slot(count: int, gpu: str) -> FileLock | None:
    folder = lock_folder()
    for slot in range(count):
        lock = FileLock(folder / f"gpu-{gpu.replace('/', '_')}-{slot}.lock", thread_local=False)
        try:
            return lock.acquire(timeout=0).lock
        except Timeout:
            continue
    return None
