"""Work on a Ray cluster: one worker for each free core or GPU, with one item at a time."""

import logging
import os
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from stillhouse.errors import BadInput, StillhouseError
from stillhouse.serving.classifier import cores

if TYPE_CHECKING:  # every worker of a cluster loads this module
    from stillhouse.params import Scale

RETRIES = 3  # of an item whose worker died; an item that kills its workers (memory) must end the run at some time


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster.

    Attributes:
        address: its address; None: a cluster on this machine, for the time of the work.
        gpus: if the cluster has GPUs, each worker gets one of them; else each gets one core.
    """

    address: str | None
    gpus: bool = False


def chosen_cluster(scale: "Scale", device: str) -> Cluster | None:
    """Return the cluster of the section ``scale``; None if it names none.

    Args:
        scale: the section.
        device: the parameter ``device``; with ``cpu`` the workers get no GPUs.

    Raises:
        BadInput: Ray is not installed.
    """
    if scale.runner != "ray":
        return None
    check_installed()
    return Cluster(scale.address, gpus=device != "cpu")


def check_installed() -> None:
    """Check that Ray is installed. Raises BadInput: it is not."""
    if find_spec("ray") is None:
        raise BadInput("The runner ray needs Ray: pip install 'stillhouse[ray]'.")


def local_cluster(workers: int) -> dict[str, Any]:
    """Return the arguments of ``ray.init`` for a cluster of ``workers`` cores that starts on this machine.

    Without the address, Ray would connect to a cluster that runs here already.
    """
    return {"address": "local", "num_cpus": workers, "include_dashboard": False}


def on_ray(
    worker: type, shared: Any, items: Iterable[Any], cluster: Cluster, what: str, less_memory: str
) -> Iterator[Any]:
    """Label ``items`` on a cluster. A worker that dies is replaced, and only its item is labelled again.

    Args:
        worker: a class. Each process of the cluster makes one of it from ``shared``, and calls its ``label`` with an
            item. On a core it should use one thread.
        shared: what all items share. It is sent once to each machine.
        items: read one by one, when a worker is free.
        cluster: the cluster.
        what: an item, in a message.
        less_memory: how an item needs less memory, in a message.

    Yields:
        The result of each item, in the order in which they end.

    Raises:
        BadInput: no cluster answers, or an item ended several workers.
        StillhouseError: a worker raised it.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray  # an extra
    from ray.exceptions import RayActorError, RayTaskError
    from ray.util import ActorPool

    where = {"address": cluster.address} if cluster.address else local_cluster(cores())
    try:
        _check_reachable(cluster.address)
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **where)
    except (OSError, ValueError, RuntimeError) as error:
        raise BadInput(f"No Ray cluster answers at {cluster.address}: {error}") from None
    try:
        gpus = cluster.gpus and ray.cluster_resources().get("GPU", 0) >= 1
        free = max(int(ray.available_resources().get("GPU" if gpus else "CPU", 1)), 1)
        # A worker with a GPU reserves no core: with more GPUs than cores some would wait forever.
        start = ray.remote(num_cpus=0 if gpus else 1, num_gpus=int(gpus), max_restarts=-1, max_task_retries=RETRIES)(
            worker
        ).remote
        reference, pool, started = ray.put(shared), ActorPool([]), 0
        for item in items:
            if not pool.has_free() and started < free:
                pool.push(start(reference))
                started += 1
            elif not pool.has_free():
                yield pool.get_next_unordered()
            pool.submit(lambda actor, one: actor.label.remote(one), item)
        while pool.has_next():
            yield pool.get_next_unordered()
    except RayTaskError as error:
        if isinstance(error.cause, StillhouseError):
            raise error.cause from None
        raise
    except RayActorError as error:
        raise BadInput(
            f"{what} ended its worker {RETRIES + 1} times, perhaps for lack of memory. {less_memory} {error}"
        ) from None
    finally:
        ray.shutdown()


def _check_reachable(address: str | None) -> None:
    """Raise OSError if no process listens at ``address``; Ray itself would try for minutes."""
    host, _, port = (address or "").rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()
