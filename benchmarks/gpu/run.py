"""``python -m benchmarks.gpu``: runs every part within a time limit and records each number at once.

On a machine without a GPU the parts run in a small form. Results are written to ``.stillhouse/gpu/`` and, with GPU.md,
to ``benchmarks/``, where a run without a GPU never replaces a run with a GPU. They are also copied into the folder that
the environment variable OUT names, if it is set.
"""

import argparse
import os
import shutil
import signal
import sys
import time
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.gpu.child import sees_gpu, work
from benchmarks.gpu.job import Job
from benchmarks.gpu.page import page, section
from benchmarks.gpu.parts import PARTS, Part
from benchmarks.gpu.record import Record, bring_back
from stillhouse.models.visible import VARIABLE, chosen_gpus

FOLDER = Path(".stillhouse/gpu")
PUBLISHED = Path("benchmarks/results/gpu.jsonl"), Path("benchmarks/GPU.md")
MINUTES = 8.0
GRACE_S = 8.0  # after a part's deadline, before it is killed
RESERVE_S = 2.0  # for writing the page
LEAST_S = 5.0  # a part does not start with less time
PROBE_S = 90.0  # limit for loading the libraries
PRELOADED = ["benchmarks.gpu.teachers", "benchmarks.gpu.students", "benchmarks.gpu.softlabels"]


def main() -> None:
    """Run the command."""
    options = _options()
    end = time.time() + 60 * options.minutes
    record, scratch = Record(options.folder / "gpu.jsonl"), options.folder / "work"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    _set_environment(scratch)
    record.begin()
    start = _start(options.start)
    budgets = dict(options.budget)
    for part in PARTS:
        job = Job(part.name, record, scratch, 0.0, options.small, start, options.teacher, options.texts)
        _run(part, job, end - GRACE_S - RESERVE_S, budgets.get(part.name, part.budget_s))
        print("\n".join(section(part.name, record.lines())), "\n", flush=True)
        _publish(record, options.folder, options.folder == FOLDER)
    shutil.rmtree(scratch, ignore_errors=True)
    if failed := [line["part"] for line in record.lines() if line.get("state") == "failed"]:
        sys.exit(f"failed: {', '.join(failed)}")


def _start(wanted: str | None) -> str:
    """The start method of the parts' processes: ``forkserver`` or ``spawn``.

    ``forkserver`` forks a process that has loaded the libraries, which saves minutes. If a forked process cannot use
    the GPU (because a library initialised it on import), it is ``spawn``: each process loads the libraries itself.
    """
    if wanted == "spawn":
        return wanted
    context: Any = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    first = context.Process(target=sees_gpu if _may_have_gpu() and not wanted else int)
    first.start()
    first.join(PROBE_S)
    if first.exitcode is None:
        first.kill()
    return "forkserver" if first.exitcode == 0 else "spawn"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="limit for all parts together")
    parser.add_argument("--small", action="store_true", help="use the small form also on a GPU")
    parser.add_argument("--budget", type=_budget, action="append", default=[], metavar="PART=SECONDS")
    parser.add_argument("--teacher", type=Path, help="folder of a checkpoint instead of the packaged one")
    parser.add_argument("--texts", type=Path, help="JSON lines with text and label instead of the packaged ones")
    parser.add_argument(
        "--start", choices=["spawn", "forkserver"], help="start method of each part's process; default: tested"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for the results; another one is not published")
    return parser.parse_args()


def _budget(text: str) -> tuple[str, float]:
    name, _, seconds = text.partition("=")
    if name not in (names := [part.name for part in PARTS]):
        raise argparse.ArgumentTypeError(f"no part {name!r}; there are {', '.join(names)}")
    return name, float(seconds)


def _run(part: Part, job: Job, end: float, budget_s: float) -> None:
    """Run a part in a new process, which is killed if it does not end in time."""
    start = time.time()
    left = end - start
    if not budget_s or left < min(LEAST_S, budget_s):
        job.record.add(part.name, state="not run", why="no time was left" if budget_s else "its budget is 0")
        return
    job = replace(job, deadline=start + min(budget_s, left))
    context: Any = get_context(job.spawn)
    process = context.Process(target=work, args=(job, part.function))
    process.start()
    process.join(job.deadline + GRACE_S - time.time())
    killed = process.is_alive()
    if killed:
        _kill(process.pid)
        process.join()
    if not any(line["part"] == part.name and "state" in line for line in job.record.lines()):
        why = (
            "it did not end by itself and was killed" if killed else f"its process ended with status {process.exitcode}"
        )
        job.record.add(part.name, state="cut" if killed else "failed", why=why, seconds=round(time.time() - start, 1))


def _kill(pid: int | None) -> None:
    for end in (os.killpg, os.kill):
        try:
            end(pid or 0, signal.SIGKILL)
            return
        except ProcessLookupError:  # the process has not created its group yet
            continue


def _publish(record: Record, folder: Path, shared: bool) -> None:
    (folder / "GPU.md").write_text(page(record), encoding="utf-8")
    with (folder / "gpu.log").open("wb") as log:
        for file in sorted((folder / "work").glob("*.log")):
            log.write(f"==> {file.stem}\n".encode() + file.read_bytes())
    for name in ("GPU.md", "gpu.log"):
        bring_back(folder / name)
    if shared and (record.machine().get("type") == "cuda" or Record(PUBLISHED[0]).machine().get("type") != "cuda"):
        shutil.copyfile(record.file, PUBLISHED[0])
        shutil.copyfile(folder / "GPU.md", PUBLISHED[1])


def _set_environment(scratch: Path) -> None:
    """Set the environment that the parts' processes inherit: one GPU, no network, caches in the run's folder."""
    if gpus := chosen_gpus("auto", os.environ.get(VARIABLE)):
        os.environ[VARIABLE] = gpus[0]
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # otherwise each process compiles the unpacked libraries
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HOME=str((scratch / "huggingface").resolve()))


def _may_have_gpu() -> bool:
    """Whether a driver is installed. It does not initialise the GPU, which would break forked processes."""
    return any(Path(file).exists() for file in ("/dev/nvidiactl", "/dev/dxg", "/proc/driver/nvidia"))
