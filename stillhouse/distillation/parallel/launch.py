"""Start the ranks of a job, pass on what the first one logs, and end all of them when one fails."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import stillhouse
from stillhouse import errors
from stillhouse.distillation.log import Log
from stillhouse.distillation.parallel.nodes import announced, node_count
from stillhouse.errors import StillhouseError
from stillhouse.models.device import check_processes
from stillhouse.pipeline.guarded import guarded

RANK = "stillhouse.distillation.parallel.rank"
JOB, METRICS, ERROR = "job.json", "metrics.jsonl", "error-{rank}.json"
POLL_S = 0.1
OTHERS_S = 2.0  # time for other ranks to end after the first that failed, so that the cause is among them
GRACE_S = 1.0  # checkpoints are complete at any time, so a rank may be killed
STDERR = 2


def run_ranks(folder: Path, content: dict[str, Any], processes: int, log: Log, nodes: int = 1) -> None:
    """Run a job on ``processes`` ranks of this machine and of each other node, and wait for those of this machine.

    Args:
        folder: of the job; has what ``content`` names.
        content: of ``job.json``. ``kind`` is the module of this package that each rank runs.
        processes: number of ranks on each node.
        log: gets what the first rank logs.
        nodes: number of nodes (``nodes.py``).

    Raises:
        BadInput: there are fewer GPUs than ranks.
        StillhouseError: a rank failed or was killed. If it raised a StillhouseError itself, this is of the same class.
    """
    check_processes(content["device"], processes)
    (folder / JOB).write_text(json.dumps({**content, "nodes": nodes}), encoding="utf-8")
    metrics = _Metrics(folder / METRICS, log)
    with announced(folder, processes) if nodes > 1 else nullcontext():
        ranks = start_ranks(folder, processes, nodes)
        try:
            _wait(folder, ranks, nodes, metrics)
        finally:
            end_ranks(ranks)


def _wait(folder: Path, ranks: Sequence[subprocess.Popen[str]], nodes: int, metrics: "_Metrics") -> None:
    while not all(rank.poll() is not None for rank in ranks):
        if any(rank.poll() for rank in ranks):
            break
        metrics.pass_on()
        time.sleep(POLL_S)
    metrics.pass_on()
    _raise_failure(folder, ranks, nodes)


def start_ranks(folder: Path, processes: int, nodes: int | None = None) -> list[subprocess.Popen[str]]:
    """Start the ranks of this node for the job in ``folder``; ``nodes`` is NNODES if it is None."""
    nodes = node_count() if nodes is None else nodes
    node = int(os.environ["NODE_RANK"]) if nodes > 1 else 0
    on_cpu = json.loads((folder / JOB).read_text(encoding="utf-8"))["device"] == "cpu"
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if on_cpu else {}  # FSDP would take a GPU that it sees
    return [_start(folder, node, local, processes, nodes, hidden) for local in range(processes)]


def _start(
    folder: Path, node: int, local: int, processes: int, nodes: int, more: dict[str, str]
) -> subprocess.Popen[str]:
    code = [str(Path(stillhouse.__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    threads = str(max(1, (os.cpu_count() or 1) // processes))
    variables = {"RANK": str(node * processes + local), "LOCAL_RANK": str(local), "WORLD_SIZE": str(nodes * processes)}
    variables |= {"LOCAL_WORLD_SIZE": str(processes), "PYTHONPATH": os.pathsep.join(code)}
    variables |= {"TORCH_CPP_LOG_LEVEL": "ERROR"}  # no advice about the search for unused parameters (step.py)
    variables |= {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads)}
    return guarded([sys.executable, "-m", RANK, str(folder)], GRACE_S, STDERR, Path(), **variables, **more)


def end_ranks(ranks: Sequence[subprocess.Popen[str]]) -> None:
    """End ranks that still run."""
    for rank in ranks:
        assert rank.stdin is not None
        with suppress(OSError):
            rank.stdin.close()
    for rank in ranks:
        try:
            rank.wait(2 * GRACE_S)
        except subprocess.TimeoutExpired:
            rank.kill()


def _raise_failure(folder: Path, ranks: Sequence[subprocess.Popen[str]], nodes: int) -> None:
    """Raise the cause, if a rank failed: the other ranks then fail, too, because they lost a member of their group."""
    deadline = time.monotonic() + OTHERS_S
    while any(rank.poll() is None for rank in ranks) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    statuses = [rank.poll() or 0 for rank in ranks]
    if not any(statuses):
        return
    report_killed(folder, ranks)
    if nodes > 1:
        time.sleep(OTHERS_S)  # for the report of another node
    found = []
    for file in folder.glob(ERROR.format(rank="*")):
        with suppress(OSError, ValueError):
            found.append(json.loads(file.read_text(encoding="utf-8")))
    found.sort(key=lambda error: (not error["known"], error["time"]))
    if not found:
        number = next(number for number, status in enumerate(statuses) if status)
        raise StillhouseError(f"Process {number + 1} (flow.processes) ended with status {statuses[number]}.")
    first = found[0]
    if first["known"]:
        raise getattr(errors, first["known"])(first["message"])
    raise StillhouseError(
        f"Process {first['rank'] + 1} (flow.processes) failed: {first['message']}\n{first['traceback']}"
    )


def report_killed(folder: Path, ranks: Sequence[subprocess.Popen[str]]) -> None:
    """Write the error of a rank of this node that was killed, and so could not write it itself."""
    for local, rank in enumerate(ranks):
        if rank.poll() == 128 + signal.SIGKILL:
            number = int(os.environ.get("NODE_RANK", "0")) * len(ranks) + local
            message = (
                f"Process {number + 1} (flow.processes) was killed, most often because the machine's memory ran out. "
                "Lower the batch size or flow.processes, or give it more memory; training goes on from its last "
                "checkpoint."
            )
            found = {"rank": number, "time": 0.0, "known": StillhouseError.__name__, "message": message}
            (folder / ERROR.format(rank=number)).write_text(json.dumps(found), encoding="utf-8")


class _Metrics:
    """Passes the lines of a :class:`FileLog` on to a log, each line once."""

    def __init__(self, file: Path, log: Log) -> None:
        self._file, self._log, self._read = file, log, 0

    def pass_on(self) -> None:
        if not self._file.exists():
            return
        with self._file.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):  # the rest follows
                    break
                self._read += len(line)
                entry = json.loads(line)
                call: Callable[..., None] = getattr(self._log, entry.pop("call"))
                call(**entry)


class FileLog:
    """Writes what is logged to a file, a JSON object for each call."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def metrics(self, values: dict[str, Any], step: int | None = None) -> None:
        """See :meth:`Log.metrics`."""
        self._write({"call": "metrics", "values": values, "step": step})

    def series(self, name: str, values: list[float], first_step: int) -> None:
        """See :meth:`Log.series`."""
        self._write({"call": "series", "name": name, "values": values, "first_step": first_step})

    def _write(self, entry: dict[str, Any]) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
