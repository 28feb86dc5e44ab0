"""``python -m benchmarks.many [projects]``: the load of many projects on one MLflow and one Prefect server.

It starts the servers of ``make test-ops`` (benchmarks/many_servers.py) and one tiny project (tests/project.py), which
runs all its stages. Each further project is a copy of it with its own experiment and registered name: its run executes
the flow and the stage ``register``. The numbers go to ``benchmarks/results/many/projects.json`` and to
``benchmarks/MANY.md``. Requires PostgreSQL and the packages of ``make test-ops``.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks.many_page import ANEW, FIRST, REGISTER, UNCHANGED, page, run_row
from benchmarks.many_servers import Shared, counted, outcome, point, servers, shared_servers
from benchmarks.processes import children_cpu_s
from stillhouse.evaluation.report import machine
from stillhouse.files import write_json

from project import Project, new_project  # isort: skip  # of tests/, which many_servers put on the path

PROJECTS, AT_ONCE = 100, 4
TIMEOUT_S = 1800.0  # of a run
RESULTS, PAGE = Path("benchmarks") / "results" / "many" / "projects.json", Path("benchmarks") / "MANY.md"
SETTINGS = {
    "DVC_NO_ANALYTICS": "1",
    "HF_HUB_OFFLINE": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "OMP_NUM_THREADS": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}


class Measurement:
    """What was measured so far.

    Attributes:
        spans: groups of runs, with what the servers did meanwhile.
        points: the idle servers, between the spans.
    """

    def __init__(self, shared: Shared, folder: Path) -> None:
        self.shared, self.folder = shared, folder
        self.variables = {"MLFLOW_TRACKING_URI": shared.mlflow_url, "PREFECT_HOME": str(folder / "home")}
        self.spans: list[dict[str, Any]] = []
        self.points: list[dict[str, Any]] = []

    def run(self, project: Project) -> dict[str, Any]:
        """Run the flow of ``project`` once: the seconds, and the last line of the output if it failed."""
        start = time.perf_counter()
        try:
            done = project.flow(timeout=TIMEOUT_S, **self.variables)
            failure = (done.stdout.strip().splitlines() or ["no output"])[-1] if done.returncode else None
        except subprocess.TimeoutExpired as error:
            failure = f"did not end in {error.timeout:.0f} s"
        seconds = time.perf_counter() - start
        if failure:
            print(f"{project.folder.name} failed: {failure}", flush=True)
        return {"seconds": seconds, "failure": failure}

    def run_copy(self, first: Project, number: int) -> dict[str, Any]:
        """Run a copy of the ``first`` project that has its own experiment and registered name."""
        project = first.copy(self.folder / named("project", number))
        project.set(**names(number))
        try:
            return self.run(project)
        finally:
            shutil.rmtree(project.folder)

    def span(self, kind: str, projects: int, work: list[Callable[[], dict[str, Any]]]) -> None:
        """Do the ``work``, :data:`AT_ONCE` parts at a time; after it ``projects`` projects have run."""
        before = children_cpu_s()
        with counted(self.shared) as found, ThreadPoolExecutor(AT_ONCE) as pool:
            submitted = [pool.submit(part) for part in work]
            try:
                runs = [one.result() for one in submitted]
            except BaseException:  # the signals of main
                for child in psutil.Process().children():
                    if "flows.distillation" in child.cmdline():
                        child.terminate()
                pool.shutdown(cancel_futures=True)
                raise
        found["command_cpu_s"] = children_cpu_s() - before
        self.spans.append({"kind": kind, "projects": projects, "runs": runs, **found})
        print(", ".join(f"{name}: {value}" for name, value in run_row(self.spans[-1]).items()), flush=True)

    def point(self, projects: int) -> None:
        """Measure the idle servers, after ``projects`` projects."""
        self.points.append({"projects": projects, **point(self.shared, named("many", 1))})
        print(self.points[-1], flush=True)


def named(prefix: str, number: int) -> str:
    """The name of something of a project."""
    return f"{prefix}-{number:03d}"


def names(number: int) -> dict[str, str]:
    """The parameters that tell projects apart."""
    return {"register__name": named("topics", number), "tracking__experiment": named("many", number)}


def measure(projects: int, folder: Path) -> dict[str, Any]:
    """Run all projects, in ``folder``."""
    with shared_servers(folder) as shared:
        measured, first = Measurement(shared, folder), new_project(folder / named("project", 1))
        first.set(**names(1))
        first.server = shared.prefect_url
        measured.point(0)
        measured.span(FIRST, 1, [partial(measured.run, first)])
        later = first.copy(folder / "later")  # the same project: what follows leaves the one that is copied as it is

        def alone(count: int, seed: int) -> None:
            later.set(seed=seed)
            for kind in (ANEW, UNCHANGED):
                measured.span(kind, count, [partial(measured.run, later)])

        alone(1, 14)
        measured.point(1)
        before = 1
        for after in sorted({projects * quarter // 4 for quarter in (1, 2, 3, 4)} - {0, 1}):
            numbers = range(before + 1, after + 1)
            measured.span(REGISTER, after, [partial(measured.run_copy, first, number) for number in numbers])
            measured.point(after)
            before = after
        alone(projects, 15)
        return {"spans": measured.spans, "points": measured.points, "outcome": outcome(shared)}


def main() -> None:
    """Measure, and write the results and the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many", description=__doc__)
    parser.add_argument("projects", nargs="?", type=int, default=PROJECTS, help="their number")
    parser.add_argument("--note", default="", help="a sentence for the page, for example on other work on the machine")
    options = parser.parse_args()
    os.environ.update(SETTINGS)
    for number in (signal.SIGTERM, signal.SIGINT):  # so that the servers end, too
        signal.signal(number, lambda *_: sys.exit(1))
    command = f"python -m benchmarks.many{'' if options.projects == PROJECTS else f' {options.projects}'}"
    about = {"machine": machine(), "command": command, "note": options.note, "projects": options.projects}
    try:
        with tempfile.TemporaryDirectory(prefix="stillhouse-many-") as folder:
            results = about | {"at_once": AT_ONCE} | measure(options.projects, Path(folder))
    except servers.NotInstalled as missing:
        raise SystemExit(f"{missing}: this benchmark needs it") from None
    write_json(RESULTS, results)  # it rounds, so the page is made from the file
    PAGE.write_text(page(json.loads(RESULTS.read_text(encoding="utf-8"))), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
