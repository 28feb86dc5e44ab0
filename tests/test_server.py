"""A real Prefect server: the flow is served on its cron, and a run started through the API completes.

It fetches the data again, as its schedule requires, and registers the student again, which the registry has lost.
"""

import os
import signal
import subprocess
import sys
import time
import urllib.error

import pytest
from servers import Prefect
from test_end_to_end import ran


def test_a_run_triggered_through_the_api_of_a_real_server_completes(project, tmp_path):
    project.set(schedule__refresh=True)
    project.mlflow("client.delete_registered_model('topics')")
    home = {"PREFECT_HOME": str(tmp_path / "prefect-client")}
    log = (tmp_path / "serve.log").open("w")
    command = [sys.executable, "-m", "flows.schedule"]
    serving = subprocess.Popen(
        command, cwd=project.folder, env={**project.environment, **home}, stdout=log, stderr=log, start_new_session=True
    )
    prefect, deadline = Prefect(project.server), time.time() + 300
    try:
        while True:
            try:
                deployment = prefect.deployment("topics")
                break
            except urllib.error.HTTPError:
                assert time.time() < deadline, (tmp_path / "serve.log").read_text()
                time.sleep(0.2)
        assert deployment["schedules"][0]["schedule"]["cron"] == "0 3 * * 1", deployment
        assert deployment["parameters"] == {"refresh": True}, deployment
        with pytest.raises(urllib.error.HTTPError) as refused:  # it would run on this machine
            prefect.trigger("topics", changes={"flow": {"notify": "touch /tmp/x"}})
        assert 400 <= refused.value.code < 500
        run = prefect.trigger("topics", changes={"study": {"trials": 7}})
        found = prefect.ended(run, deadline - time.time())
        assert found["state_type"] == "COMPLETED", (tmp_path / "serve.log").read_text()
        assert found["name"].startswith("topics-")
        (artifact,) = prefect.artifacts(run)
        assert artifact["key"] == "distillation-results" and "| compressed student |" in str(artifact["data"])
        assert "trials: 7" in (project.folder / "params.yaml").read_text()
        assert ran((tmp_path / "serve.log").read_text()) == ["prepare", "register"]
        assert "topics version 1: passed the gate" in (tmp_path / "serve.log").read_text()
    finally:
        os.killpg(serving.pid, signal.SIGKILL)


def test_scheduling_without_a_server_says_how_to_start_one(project):
    done = project.python("-m", "flows.schedule", PREFECT_API_URL="")
    assert done.returncode == 1 and "prefect server start" in done.stdout and "Traceback" not in done.stdout
