"""A user's first day: the flow, its tracked runs, resuming, the registered model."""

import json
import os
import pickletools
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from servers import free_port

ALL = ["prepare", "label", "control", "teacher", "soft_labels", "student", "compress", "evaluate", "register"]


def ran(output: str) -> list[str]:
    return re.findall(r"Running stage '(\S+)'", output)


def test_the_flow_ends_with_what_a_user_wants_to_know(finished):
    log = (finished.folder / "first-run.log").read_text()
    assert ran(log) == ALL
    for row in ("teacher", "control", "student", "compressed student", "TF-IDF + SVM"):
        assert re.search(rf"^{re.escape(row)} +\d+\.\d % +\d+\.\d % +\S+ +\S+$", log, re.MULTILINE), row
    assert "topics version 1 (@champion)" in log
    assert f"sqlite:///{finished.folder}/mlflow.db" in log
    report = Path(re.search(r"^Report +(.+)$", log, re.MULTILINE)[1])
    assert "compressed student" in report.read_text() and "THE TEAM WIN THE CUP" in report.read_text()
    metrics = json.loads((finished.folder / "outputs/evaluate/metrics.json").read_text())
    assert metrics["models"]["teacher"]["accuracy"] > 0.8
    assert metrics["models"]["compressed student"]["accuracy"] > 0.8
    assert metrics["cases"] == {"count": 2, "passed": 1.0}
    assert re.search(r"^most frequent class +\d+\.\d % +\d+\.\d % +– +–$", log, re.MULTILINE)
    assert metrics["classes"]["never_recognised"] == 0 and "never recognised" not in log
    assert "passed the gate of register; its description has the 6 conditions" in log
    assert (
        (finished.folder / "outputs/evaluate/classes.csv").read_text().startswith("name,training,texts,answered,right")
    )


def test_the_runs_are_tracked_with_their_lineage(finished):
    message = finished.mlflow(
        """
runs = client.search_runs([experiment])
parent = next(run for run in runs if run.data.tags['stillhouse.kind'] == 'flow')
children = {run.data.tags['stillhouse.stage']: run for run in runs if 'stillhouse.stage' in run.data.tags}
print(json.dumps({
    'parents': sum(run.data.tags['stillhouse.kind'] == 'flow' for run in runs),
    'children': sorted(children),
    'nested': all(run.data.tags['mlflow.parentRunId'] == parent.info.run_id for run in children.values()),
    'finished': all(run.info.status == 'FINISHED' for run in runs),
    'tags': [key for key in ('git.commit', 'dvc.lock_md5', 'prefect.flow_run_id') if parent.data.tags.get(key)],
    'steps': len(client.get_metric_history(children['student'].info.run_id, 'loss')),
    'temperature': children['student'].data.params['student.temperature'],
    'digest': children['student'].inputs.dataset_inputs[0].dataset.digest,
    'artifacts': sorted(file.path for file in client.list_artifacts(children['evaluate'].info.run_id)),
    'read': sorted(one.dataset.name for one in parent.inputs.dataset_inputs),
    'registered': client.get_model_version('topics', 1).run_id == parent.info.run_id,
    'note': parent.data.tags['mlflow.note.content'],
    'metrics': sorted(set(parent.data.metrics) & {'accuracy', 'macro_f1', 'megabytes', 'docs_per_s', 'retention'}),
    'kind': client.get_experiment(parent.info.experiment_id).tags['mlflow.experimentKind'],
    'made of': sorted(file.path for file in client.list_artifacts(parent.info.run_id, 'made of')),
    'card': [file.path for file in client.list_artifacts(children['prepare'].info.run_id)],
}))""",
    )
    message = json.loads(message)
    assert message["parents"] == 1 and message["children"] == sorted(ALL) and message["nested"] and message["finished"]
    assert message["tags"] == ["git.commit", "dvc.lock_md5", "prefect.flow_run_id"]
    assert message["steps"] == 15 and message["temperature"] == "2.0"
    assert {"report.html", "frontier.png", "confusion.png"} <= set(message["artifacts"]) and message["card"] == [
        "card.json"
    ]
    assert message["read"] == ["test", "train"] and message["registered"]
    assert message["made of"] == ["made of/dvc.lock", "made of/params.yaml"]
    assert message["metrics"] == ["accuracy", "docs_per_s", "macro_f1", "megabytes", "retention"]
    assert message["kind"] == "custom_model_development"  # MLflow opens on the training runs
    assert message["note"].startswith(
        "## topics version 1 (`@champion`)\n\n**Passed the gate of register.**\n\n| model |"
    )
    assert "- ok: is better than always answering" in message["note"] and "`models:/topics/1`" in message["note"]
    assert message["digest"] in (finished.folder / "dvc.lock").read_text()


def test_a_killed_teacher_goes_on_from_its_last_checkpoint_and_a_finished_one_is_not_trained_again(project):
    project.set(teacher__epochs=20, teacher__checkpoints_per_epoch=1)
    command = [sys.executable, "-m", "dvc", "repro", "--single-item", "teacher"]
    with (project.folder / "killed.log").open("w") as log:
        child = subprocess.Popen(
            command, cwd=project.folder, env=project.environment, stdout=log, stderr=log, start_new_session=True
        )
        scratch = project.folder / ".stillhouse" / "scratch"
        deadline = time.time() + 120
        while not list(scratch.glob("teacher-*/checkpoint-*/trainer_state.json")):
            assert time.time() < deadline and child.poll() is None, (project.folder / "killed.log").read_text()
            time.sleep(0.05)
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    done = project.dvc("repro", "--single-item", "teacher")
    assert done.returncode == 0, done.stdout
    assert "resuming from" in done.stdout and "checkpoint-" in done.stdout
    model = project.folder / "outputs" / "teacher" / "model" / "model.safetensors"
    learnt, _ = model.read_bytes(), model.unlink()  # as if DVC had found no room to store it
    again = project.python("-m", "tasks.teacher")
    assert again.returncode == 0 and "resuming from" in again.stdout and "step 10 of" not in again.stdout, again.stdout
    assert model.read_bytes() == learnt
    done = project.python("-m", "tasks.prepare")  # the command of any other stage
    assert done.returncode == 0 and not list(scratch.glob("teacher-*")), done.stdout
    statuses = project.mlflow(
        "print(sorted(run.info.status for run in client.search_runs([experiment], \"tags.`stillhouse.stage` = 'teacher'\")))",
    )
    assert statuses == "['FINISHED', 'FINISHED', 'FINISHED', 'KILLED']"


def test_the_registered_model_needs_neither_torch_nor_transformers_and_holds_no_pickle(finished):
    code = """
import pathlib
path = mlflow.artifacts.download_artifacts('models:/topics@champion')
model = mlflow.pyfunc.load_model('models:/topics@champion')
import pandas as pd
texts = ['the goal of the match', 'butter and flour in a pan']
answers = [model.predict(texts), model.predict(pd.DataFrame({'text': texts}))]
assert answers[0] == answers[1]
heavy = [name for name in ('torch', 'transformers', 'prefect', 'dvc', 'datasets') if name in sys.modules]
print(json.dumps({
    'label': [a.label for a in answers[0]], 'probability': [a.probability for a in answers[0]], 'heavy': heavy,
    'files': [str(file) for file in pathlib.Path(path).rglob('*') if file.is_file()],
    'metadata': model.metadata.metadata, 'signature': model.metadata.signature.to_dict(), 'example': model.metadata.saved_input_example_info is not None,
}))"""
    message = json.loads(finished.mlflow(code))
    assert message["label"] == ["sport", "cooking"] and all(0.3 < p <= 1 for p in message["probability"])
    assert message["heavy"] == [] and message["example"] and message["signature"]["outputs"]
    for file in map(Path, message["files"]):
        assert file.suffix not in (".pkl", ".pickle", ".pt", ".bin", ".joblib"), file
        with pytest.raises(ValueError):
            list(pickletools.genops(file.read_bytes()))
    assert message["metadata"] == {"max_length": 32, "longer_texts": "cut after 32 word pieces, as in training"}
    version = finished.mlflow("print(json.dumps(client.get_model_version_by_alias('topics', 'champion').tags))")
    evidence = json.loads(version)
    assert all(evidence[key] for key in ("run.teacher", "run.student", "git.commit", "dvc.lock_md5", "data.test_md5"))
    requirements = next(Path(file) for file in message["files"] if file.endswith("requirements.txt")).read_text()
    assert "onnxruntime==" in requirements and "torch" not in requirements and "transformers" not in requirements


def post(url: str, body: object) -> tuple[int, Any]:
    """The status and the JSON that come back."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_the_served_model_answers_real_text(finished):
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        "models:/topics@champion",
        "--env-manager",
        "local",
    ]
    environment = {**finished.environment, "MLFLOW_TRACKING_URI": f"sqlite:///{finished.folder}/mlflow.db"}
    server = subprocess.Popen(
        [*command, "-p", str(port)],
        cwd="/tmp",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        ask = partial(post, f"http://127.0.0.1:{port}/invocations")
        deadline = time.time() + 90
        while True:
            try:
                status, answer = ask({"inputs": ["rain and wind and storm", "the team and the coach"]})
                break
            except OSError:
                assert time.time() < deadline and server.poll() is None
                time.sleep(0.5)
        odd = ask({"inputs": ["", "\x00\x07", "\ud83d", "goal " * 200_000]})
        many = ask({"inputs": ["butter and flour"] * 100_000})
        table = ask({"dataframe_split": {"columns": ["review"], "data": [["rain and wind and storm"]]}})
        wrong = [
            ask(body) for body in ({"inputs": [1]}, {"inputs": [None]}, {"inputs": {"a": 1}}, {"text": "goal"}, {})
        ]
    finally:
        os.killpg(server.pid, signal.SIGKILL)
    assert status == 200 and [row["label"] for row in answer["predictions"]] == ["weather", "sport"]
    assert all(0 < row["probability"] <= 1 for row in answer["predictions"])
    assert odd[0] == 200 and len(odd[1]["predictions"]) == 4 and odd[1]["predictions"][3]["label"] == "sport"
    assert table[0] == 200 and table[1]["predictions"][0]["label"] == "weather"
    assert many[0] == 200 and len(many[1]["predictions"]) == 100_000
    for status, answer in wrong:
        assert 400 <= status < 500 and "Traceback" not in json.dumps(answer), (status, answer)
