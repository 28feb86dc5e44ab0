"""A real Prefect server: the flow is served on its cron, and a run started through the API completes."""

import os
import signal
import subprocess
import sys


def test_a_run_triggered_through_the_api_of_a_real_server_completes(project, tmp_path):
    project.set(schedule__refresh=True)
    home = {"PREFECT_HOME": str(tmp_path / "prefect-client")}
    log = (tmp_path / "serve.log").open("w")
    command = [sys.executable, "-m", "flows.schedule"]
    serving = subprocess.Popen(
        command, cwd=project.folder, env={**project.environment, **home}, stdout=log, stderr=log, start_new_session=True
    )
    code = """
import sys, time
from prefect.client.orchestration import get_client
from prefect.deployments import run_deployment
with get_client(sync_client=True) as client:
    for _ in range(120):
        try: deployment = client.read_deployment_by_name('distillation/topics'); break
        except Exception: time.sleep(0.5)
    assert deployment.schedules[0].schedule.cron == '0 3 * * 1', deployment.schedules
    assert deployment.parameters == {'refresh': True}, deployment.parameters
    run = run_deployment('distillation/topics', parameters={'changes': {'compress': {'parity': 0.9}}}, timeout=200)
    print(run.name, run.state.type.value)
    artifact = [a for a in client.read_artifacts() if a.flow_run_id == run.id]
    print([a.key for a in artifact], '| compressed student |' in str(artifact[0].data))
"""
    try:
        done = project.python("-c", code, **home)
        assert done.returncode == 0, done.stdout + (tmp_path / "serve.log").read_text()
        lines = done.stdout.strip().splitlines()
        assert lines[-2].startswith("topics-") and lines[-2].endswith("COMPLETED"), (tmp_path / "serve.log").read_text()
        assert lines[-1] == "['distillation-results'] True"
        assert "parity: 0.9" in (project.folder / "params.yaml").read_text()
    finally:
        os.killpg(serving.pid, signal.SIGKILL)


def test_scheduling_without_a_server_says_how_to_start_one(project):
    done = project.python("-m", "flows.schedule", PREFECT_API_URL="")
    assert done.returncode == 1 and "prefect server start" in done.stdout and "Traceback" not in done.stdout
