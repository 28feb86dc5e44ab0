"""A worker process of a pool exits with its parent. Imports the standard library alone, so any worker can use it."""

import multiprocessing
import multiprocessing.connection
import os
import threading


def exit_with_parent() -> None:
    """In a worker process of a pool: exit when the process that created the pool has ended."""
    if parent := multiprocessing.parent_process():

        def watch(sentinel: int) -> None:
            multiprocessing.connection.wait([sentinel])
            os._exit(1)

        threading.Thread(target=watch, args=(parent.sentinel,), daemon=True).start()
