"""A year in minutes: real servers, a worker, twenty kills, outages; the right champion, the same bytes, no litter."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from project import Project, new_project
from servers import Prefect

from ops.conftest import dumped
from ops.test_stopping import results

KILLS = 20
SIGNALS = [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]


def work_of(project: Project, but: set[int]) -> list[psutil.Process]:
    """All that works in the project, without ``but``."""
    found = []
    for process in psutil.process_iter(["cwd", "status", "pid"]):
        message = process.info
        if (
            message["cwd"] == str(project.folder)
            and message["status"] != psutil.STATUS_ZOMBIE
            and message["pid"] not in but
        ):
            found.append(process)
    return found


class House:
    """A project on real servers, with a worker that takes its runs."""

    def __init__(self, project: Project, variables: dict[str, str], log: Path) -> None:
        self.project, self.variables, self.log = project, variables, log
        self.worker: subprocess.Popen[bytes] | None = None

    def command(self, *words: str, timeout: float = 120) -> str:
        done = self.project.run(*words, timeout=timeout, **self.variables)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def deploy(self) -> None:
        self.command("prefect", "--no-prompt", "work-pool", "create", "stillhouse", "--type", "process")
        self.command("prefect", "--no-prompt", "deploy", "--all")
        environment = {**self.project.environment, **self.variables, "PREFECT_WORKER_QUERY_SECONDS": "1"}
        with self.log.open("wb") as log:
            self.worker = subprocess.Popen(
                [sys.executable, "-m", "prefect", "worker", "start", "--pool", "stillhouse", "--name", "one"],
                cwd=self.project.folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def processes(self) -> list[psutil.Process]:
        return work_of(self.project, {os.getpid(), self.worker.pid if self.worker else 0})

    def wait_until_idle(self, seconds: float) -> None:
        deadline = time.time() + seconds
        while left := self.processes():
            assert time.time() < deadline, [" ".join(one.cmdline()) for one in left] + [self.log.read_text()[-6000:]]
            time.sleep(0.2)

    def wait_for(self, text: str, seen: int, seconds: float = 120) -> None:
        """Until the worker's log, from its byte ``seen`` on, has ``text``."""
        deadline = time.time() + seconds
        while text not in self.log.read_text()[seen:]:
            assert time.time() < deadline, self.log.read_text()[-6000:]
            time.sleep(0.05)


def kill_something(house: House, chance: random.Random) -> str:
    """One of the run's processes, or all of them at once, with a signal of chance."""
    number, processes = chance.choice(SIGNALS), house.processes()
    if not processes:
        return "nothing was at work"
    chosen = processes if chance.random() < 0.3 else [chance.choice(processes)]
    message = []
    for process in chosen:
        with suppress(psutil.Error):
            message.append(" ".join(process.cmdline())[-60:])
            process.send_signal(number)
    return f"{signal.Signals(number).name} to {message}"


ASKED = """
import json, os
from mlflow.tracking import MlflowClient
client = MlflowClient()
experiment = client.get_experiment_by_name("stillhouse").experiment_id
runs = client.search_runs([experiment])
steps = {}
for run in runs:
    for name in ("loss", "validation.accuracy"):
        key = run.data.tags.get("stillhouse.stage", "")
        steps.setdefault(f"{key} {name}", set()).update(p.step for p in client.get_metric_history(run.info.run_id, name))
print(json.dumps({
    "statuses": sorted({run.info.status for run in runs}),
    "versions": [(v.version, sorted(client.get_model_version("topics", v.version).aliases))
                 for v in client.search_model_versions("name = 'topics'")],
    "steps": {key: sorted(found) for key, found in steps.items()},
}))
"""


@pytest.mark.timeout(1500)
def test_twenty_kills_two_outages_and_the_right_champion(
    prefect_server, mlflow_server, s3, postgres, request, tmp_path, capsys
):
    project = new_project(tmp_path / "year")
    project.set(flow__gpu_slots=1, flow__retry_delay_s=4)
    prefect = Prefect(prefect_server.url.removesuffix("/health"))
    variables = {
        **s3,
        "PREFECT_API_URL": prefect.url,
        "MLFLOW_TRACKING_URI": mlflow_server.url.removesuffix("/health"),
        "PREFECT_HOME": str(tmp_path / "home"),
    }
    house, chance = House(project, variables, tmp_path / "worker.log"), random.Random(13)
    house.deploy()
    try:
        for number in range(KILLS):
            if "COMPLETED" in prefect.states().values():  # so that there is something to be killed in
                project.set(student__temperature=2.0 + (number + 1) / 100)
            seen = len(house.log.read_text())
            prefect.trigger("worker")
            house.wait_for("Beginning flow run", seen)
            time.sleep(chance.uniform(0, 9))
            message = kill_something(house, chance)
            with capsys.disabled():
                print(f"\n{number + 1}: {message}", end="", flush=True)
            house.wait_until_idle(200)  # what was not hit goes on to its end, or stops with a message
        seen = len(house.log.read_text())
        project.set(student__temperature=3.0)  # something to train when the servers go
        last = prefect.trigger("worker")
        house.wait_for("Running stage 'student'", seen)
        mlflow_server.kill()
        house.wait_for("does not answer", seen)
        prefect_server.kill()
        prefect_server.start()
        time.sleep(10)
        mlflow_server.start()
        house.wait_until_idle(300)
        assert prefect.states()[last] == "COMPLETED", house.log.read_text()[-6000:]
        project.set(student__temperature=2.0)
        seen = len(house.log.read_text())
        prefect.trigger("worker")
        house.wait_for("Beginning flow run", seen)
        house.wait_until_idle(300)
        assert set(prefect.states().values()) <= {"COMPLETED", "CRASHED", "FAILED", "CANCELLED"}, prefect.states()
        message = json.loads(house.command(sys.executable, "-c", ASKED).strip().splitlines()[-1])
        assert set(message["statuses"]) <= {"FINISHED", "KILLED", "FAILED"}
        assert [aliases for number, aliases in message["versions"] if "champion" in aliases]
        for stage, epochs in (("control", 15), ("student", 15)):
            assert message["steps"][f"{stage} loss"] == list(range(1, epochs + 1)), message["steps"]
        assert not list((project.folder / ".stillhouse" / "tracking").glob("*/"))
        assert results(project) == results(request.getfixturevalue("finished"))  # last: the fixture takes minutes
        assert "up to date" in house.command(sys.executable, "-m", "dvc", "status")
        assert not house.processes()
        kept = dumped(postgres) + house.log.read_text()
        assert "topics" in kept and s3["AWS_SECRET_ACCESS_KEY"] not in kept
    finally:
        if house.worker:
            os.killpg(house.worker.pid, signal.SIGKILL)
        for process in house.processes():
            with suppress(psutil.Error):
                process.kill()
