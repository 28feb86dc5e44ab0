"""Labels the blocks of a folder on a Ray cluster: one worker for each free core, with one block at a time."""

import logging
import os
import socket
from collections.abc import Iterator
from typing import Any

from flows.shared.blocks import Block, Work, label_block
from stillhouse.errors import BadInput, StillhouseError
from stillhouse.serving.classifier import cores

RETRIES = 3  # of a block whose worker died; a block that kills its workers (memory) must end the run at some time


class Worker:
    """Holds the student in a process of the cluster."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def label(self, block: Block) -> dict[str, Any]:
        """See :func:`label_block`."""
        return label_block(self._work, block)


def run_ray(work: Work, blocks: list[Block], address: str | None) -> Iterator[dict[str, Any]]:
    """Label the blocks on a cluster. A worker that dies is replaced, and only its block is labelled again.

    Args:
        work: what all blocks share. Its classifier should have one thread.
        blocks: the blocks.
        address: of the cluster; None: start one here, for the time of the run.

    Yields:
        The note of each block, in the order in which they end.

    Raises:
        BadInput: no cluster answers, a block cannot be labelled, or it ended several workers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray  # an extra
    from ray.exceptions import RayActorError, RayTaskError
    from ray.util import ActorPool

    # Without an address, Ray would connect to a cluster that runs on this machine.
    local: dict[str, Any] = {"address": "local", "num_cpus": cores(), "include_dashboard": False}
    where = {"address": address} if address else local
    try:
        _check_reachable(address)
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **where)
    except (OSError, ValueError, RuntimeError) as error:
        raise BadInput(f"No Ray cluster answers at {address}: {error}") from None
    try:
        free = max(int(ray.available_resources().get("CPU", 1)), 1)
        start = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=RETRIES)(Worker).remote
        shared = ray.put(work)
        pool = ActorPool([start(shared) for _ in range(min(free, len(blocks)))])
        yield from pool.map_unordered(lambda worker, block: worker.label.remote(block), blocks)
        work.target.remove_drafts()  # of workers that died
    except RayTaskError as error:
        if isinstance(error.cause, StillhouseError):
            raise error.cause from None
        raise
    except RayActorError as error:
        raise BadInput(
            f"A block ended its worker {RETRIES + 1} times, perhaps for lack of memory. Set a smaller --chunk. {error}"
        ) from None
    finally:
        ray.shutdown()


def _check_reachable(address: str | None) -> None:
    """Raise OSError if no process listens at ``address``; Ray itself would try for minutes."""
    host, _, port = (address or "").rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()
