"""Ranks on several machines (nodes), which share the project's folder under the same path.

The stage runs on node 0. On every other node ``python -m stillhouse.distillation.parallel.nodes`` waits in the folder
of the project for the jobs of node 0, and starts its ranks of each. The nodes find each other by the environment
variables of ``torchrun``: NNODES, NODE_RANK, MASTER_ADDR (name or address of node 0), MASTER_PORT (a free port there).
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from stillhouse.errors import BadInput
from stillhouse.files import replacing
from stillhouse.project import STATE

VARIABLES = ("NNODES", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT")
ANNOUNCED = STATE / "ranks.json"
POLL_S = 1.0


def node_count() -> int:
    """Return the number of nodes: NNODES, or 1 if it is not set.

    Raises:
        BadInput: NNODES is set, but another of the variables is not.
    """
    count = os.environ.get("NNODES", "1")
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if count != "1" and missing:
        raise BadInput(f"NNODES={count}, but {', '.join(missing)} is not set. Set all of {', '.join(VARIABLES)}.")
    return int(count)


@contextmanager
def announced(folder: Path, processes: int) -> Iterator[None]:
    """Announce a job to the other nodes, until the end of the block."""
    ANNOUNCED.parent.mkdir(exist_ok=True)
    with replacing(ANNOUNCED) as partial:
        partial.write_text(json.dumps({"folder": str(folder), "processes": processes, "time": time.time()}))
    try:
        yield
    finally:
        ANNOUNCED.unlink(missing_ok=True)


def serve(start: Callable[[Path, int], list[subprocess.Popen[str]]], end: Callable[..., None]) -> None:
    """Run the ranks of this node for one job after the other; never returns.

    Args:
        start: starts the ranks, given the folder of a job and the processes of each node.
        end: ends them, given the folder and the ranks.
    """
    done: dict[str, Any] | None = None
    while True:
        if (job := _announcement()) and job != done:
            print(f"ranks of the job {job['folder']} start", flush=True)  # noqa: T201
            ranks = start(Path(job["folder"]), job["processes"])
            try:
                while any(rank.poll() is None for rank in ranks) and not any(rank.poll() for rank in ranks):
                    if _announcement() != job:  # its stage has ended
                        break
                    time.sleep(POLL_S)
            finally:
                end(Path(job["folder"]), ranks)
            print(f"ranks of the job {job['folder']} ended", flush=True)  # noqa: T201
            done = job
        time.sleep(POLL_S)


def _announcement() -> dict[str, Any] | None:
    with suppress(OSError, ValueError):
        found: dict[str, Any] = json.loads(ANNOUNCED.read_text(encoding="utf-8"))
        return found
    return None


def main() -> None:
    """Wait for jobs until the process is stopped."""
    from stillhouse.distillation.parallel.launch import (  # which imports this module
        end_ranks,
        report_killed,
        start_ranks,
    )

    def end(folder: Path, ranks: list[subprocess.Popen[str]]) -> None:
        report_killed(folder, ranks)
        end_ranks(ranks)

    try:
        if node_count() == 1 or os.environ["NODE_RANK"] == "0":
            raise BadInput(f"This command is for the nodes from 1 on. Set all of {', '.join(VARIABLES)}.")
        serve(start_ranks, end)
    except BadInput as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
