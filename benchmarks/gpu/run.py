"""``python -m benchmarks.gpu``: every part in turn, within some minutes, written down as it is measured.

On a machine without a GPU the parts run in a small form. Results go into ``.stillhouse/gpu/`` and, with GPU.md, into
``benchmarks/``, where a run without a GPU never replaces one with; and into the folder that OUT names, if it is set.
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
from stillhouse.models.visible import VARIABLE, one_gpu

FOLDER = Path(".stillhouse/gpu")
PUBLISHED = Path("benchmarks/results/gpu.jsonl"), Path("benchmarks/GPU.md")
MINUTES = 8.0
GRACE_S = 8.0  # for a part to end by itself
RESERVE_S = 2.0  # for the page
LEAST_S = 5.0  # for which a part is not begun
PROBE_S = 90.0  # for loading the libraries
PRELOADED = ["benchmarks.gpu.teachers", "benchmarks.gpu.students", "benchmarks.gpu.softlabels"]


def main() -> None:
    """The command."""
    options = _options()
    end = time.time() + 60 * options.minutes
    record, scratch = Record(options.folder / "gpu.jsonl"), options.folder / "work"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    _surroundings(scratch)
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
    """How the parts' processes start: copies of one that has loaded their libraries, which saves minutes.

    Where such a copy cannot use the machine's GPU (a library began to use it while it was loaded), each process loads
    them itself.
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
    parser.add_argument("--minutes", type=float, default=MINUTES, help="at most, for everything")
    parser.add_argument("--small", action="store_true", help="the small form on a GPU, too")
    parser.add_argument("--budget", type=_budget, action="append", default=[], metavar="PART=SECONDS")
    parser.add_argument("--teacher", type=Path, help="folder of a checkpoint instead of the packaged one")
    parser.add_argument("--texts", type=Path, help="JSON lines with text and label instead of the packaged ones")
    parser.add_argument("--start", choices=["spawn", "forkserver"], help="of each part's process; by default a try")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for the results; another one is not published")
    return parser.parse_args()


def _budget(text: str) -> tuple[str, float]:
    name, _, seconds = text.partition("=")
    if name not in (names := [part.name for part in PARTS]):
        raise argparse.ArgumentTypeError(f"no part {name!r}; there are {', '.join(names)}")
    return name, float(seconds)


def _run(part: Part, job: Job, end: float, budget_s: float) -> None:
    """The part in a process of its own, which is killed where it does not end in time."""
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
        except ProcessLookupError:  # it has no group yet
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


def _surroundings(scratch: Path) -> None:
    """What the parts' processes inherit: one GPU, no network, caches that go with the run."""
    if gpu := one_gpu("auto", os.environ.get(VARIABLE)):
        os.environ[VARIABLE] = gpu
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each process would compile the carried libraries anew
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HOME=str((scratch / "huggingface").resolve()))


def _may_have_gpu() -> bool:
    """Without a look that would begin to use it."""
    return any(Path(file).exists() for file in ("/dev/nvidiactl", "/dev/dxg", "/proc/driver/nvidia"))
