"""Parts of the flow that need no whole run: changing parameters, running a stage as a child, places on the GPU."""

import logging
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from dataclasses import replace

import httpx
import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.exceptions import ParameterTypeError
from prefect.testing.utilities import prefect_test_harness
from project import ROOT

from flows.distillation import distillation
from flows.reproduce import _extract, differing
from flows.shared import progress_bar
from flows.shared.changes import Changes, write_changes
from flows.shared.stage_task import prefect_task
from flows.shared.summary import Summary, server_command
from stillhouse.errors import BadInput
from stillhouse.evaluation.classes import ClassCounts
from stillhouse.evaluation.results import quality_of
from stillhouse.params import load_params
from stillhouse.pipeline import stage as stage_module
from stillhouse.pipeline.runner import StageFailed, run_stage
from stillhouse.pipeline.slots import gpu_slot
from stillhouse.pipeline.stages import STAGES


@pytest.fixture(scope="module")
def prefect_server():
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def params_file(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text((ROOT / "params.yaml").read_text())
    return file


def test_the_steps_of_a_stage_are_a_progress_bar_on_prefects_page(prefect_server, monkeypatch):
    monkeypatch.setattr(progress_bar, "EVERY_S", 0.0)
    printed: list[str] = []

    @task
    def soft_labels() -> None:
        log = progress_bar.with_progress("soft_labels@phone", lambda line, level: printed.append(line))
        for line in ("Running stage", "epoch 1 of 4: loss 2.0", "epoch 3 of 4: loss 1.0"):
            log(line)
        monkeypatch.setattr(progress_bar, "update_progress_artifact", unreachable)
        log("epoch 4 of 4: loss 0.5")

    def unreachable(*_):
        raise httpx.ConnectError("no server")

    flow(lambda: soft_labels(), name="bar")()
    with get_client(sync_client=True) as client:
        (bar,) = [one for one in client.read_artifacts() if one.type == "progress"]
    assert (bar.key, bar.data, bar.description) == ("progress-soft-labels-phone", 75, "epoch 3 of 4")
    assert len(printed) == 4


def test_changes_are_written_into_params_and_leave_its_comments(params_file):
    changes = Changes.model_validate({"student": {"temperature": 2.5}, "register": {"name": "other"}})
    assert write_changes(changes, params_file) == {"student.temperature": 2.5, "register.name": "other"}
    before, after = (text.splitlines() for text in ((ROOT / "params.yaml").read_text(), params_file.read_text()))
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert {b.strip().split(" ")[0] for _, b in changed} == {"temperature:", "name:"}
    assert "# of the registered model" in params_file.read_text()
    assert load_params(params_file).student.temperature == 2.5
    assert write_changes(changes, params_file) == {}


def test_a_null_counts_only_with_nulls(params_file):
    changes = Changes.model_validate({"data": {"labels_per_class": None}})
    assert write_changes(changes, params_file) == {}
    assert write_changes(changes, params_file, nulls=True) == {"data.labels_per_class": None}
    assert load_params(params_file).data.labels_per_class is None


def test_a_table_of_losses_is_changed_as_one_value(params_file):
    changes = Changes.model_validate(
        {"student": {"losses": {"mse": 1.0, "dkd": 0.5}, "alpha": {"start": 1, "end": 0.5, "shape": "linear"}}}
    )
    write_changes(changes, params_file)
    student = load_params(params_file).student
    assert student.losses == {"mse": 1.0, "dkd": 0.5} and student.alpha.end == 0.5
    assert write_changes(changes, params_file) == {}


def test_changes_that_do_not_fit_together_change_nothing(params_file):
    before = params_file.read_text()
    with pytest.raises(BadInput, match="data.hub_id must name a dataset"):
        write_changes(Changes.model_validate({"data": {"source": "hub"}}), params_file)
    assert params_file.read_text() == before


def test_the_form_carries_types_limits_and_descriptions():
    schema = distillation.parameters.definitions
    alpha = schema["Student"]["properties"]["alpha"]
    number, auto, schedule = alpha["anyOf"][0]["oneOf"]
    assert number == {"maximum": 1, "minimum": 0, "type": "number"} and schedule["$ref"].endswith("/Varying")
    assert auto["const"] == "auto" and alpha["description"].startswith("weight of the soft labels")
    assert schema["Params"]["properties"]["student"]["$ref"].endswith("/Student")  # shown at once, not behind a switch
    assert "refresh" in distillation.parameters.properties
    with pytest.raises(ValueError):
        Changes.model_validate({"student": {"alpha": 2}})
    with pytest.raises(ValueError):
        Changes.model_validate({"student": {"tempreature": 2}})


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("flow", "notify", "touch /tmp/x"),
        ("flow", "heartbeat", "touch /tmp/x"),
        ("study", "address", "tcp://h:1"),
        ("scale", "address", "ray://h:1"),
    ],
)
def test_the_form_refuses_what_could_run_a_command(section, key, value):
    schema = distillation.parameters.definitions
    assert key not in schema[section.title()]["properties"] and schema[section.title()]["additionalProperties"] is False
    for changes in ({section: {key: value}}, {section: {key: None}}):
        with pytest.raises(ValueError, match=key):
            Changes.model_validate(changes)
        with pytest.raises(ParameterTypeError, match=key):
            distillation.validate_parameters({"changes": changes})
    assert "when_busy" in schema["Flow"]["properties"]


@pytest.mark.parametrize("commit", ["none", "--output=/tmp/x", "-x", "HEAD", "", "a" * 39, "a" * 40 + "\n"])
def test_a_tag_that_is_no_commit_never_reaches_git(tmp_path, monkeypatch, commit):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("git was started"))
    with pytest.raises(BadInput, match="which is not a commit"):
        _extract(commit, tmp_path)


def test_the_command_that_serves_mlflow_can_be_pasted(monkeypatch):
    spaced = "sqlite:////home/me/my project/mlflow.db"
    words = shlex.split(server_command(spaced))
    assert words[1:] == ["server", "--backend-store-uri", spaced, "--port", "5000"]
    secret = server_command("postgresql://u:hush@h/mlflow")
    assert "hush" not in secret and '"$MLFLOW_TRACKING_URI"' in secret


@pytest.fixture
def fake_dvc(tmp_path, monkeypatch):
    """``python -m dvc`` is this text's Python instead, in an empty project."""

    def install(code: str) -> None:
        (tmp_path / "dvc.py").write_text(code)
        (tmp_path / ".stillhouse").mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return install


SLEEPER = """
import subprocess, sys, time
if 'checkout' in sys.argv: sys.exit()
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])
open('pid', 'w').write(str(child.pid))
print('started', flush=True)
time.sleep(60)
"""


def gone(process: int) -> bool:
    for _ in range(100):
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True).stdout.strip()
        if not state or state.startswith("Z"):
            return True
        time.sleep(0.05)
    return False


def test_a_stage_that_takes_too_long_is_ended_with_its_children(fake_dvc, tmp_path):
    fake_dvc(SLEEPER)
    start = time.time()
    with pytest.raises(StageFailed, match="flow.timeout_minutes.teacher"):
        run_stage("teacher", timeout_s=2)
    assert time.time() - start < 15
    assert gone(int((tmp_path / "pid").read_text()))


def test_a_cancelled_flow_takes_its_stage_along(fake_dvc, tmp_path, monkeypatch):
    fake_dvc(SLEEPER)
    code = "import sys; sys.path.insert(0, sys.argv[1]); from stillhouse.pipeline.runner import run_stage\n"
    code += "from prefect.utilities.engine import capture_sigterm\n"
    code += "with capture_sigterm(): run_stage('teacher', 60)"
    flow = subprocess.Popen([sys.executable, "-c", code, str(ROOT)], cwd=tmp_path, start_new_session=True)
    for _ in range(600):
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            break
        time.sleep(0.05)
    flow.terminate()  # what Prefect sends to the flow's own process
    flow.wait(20)
    assert gone(int((tmp_path / "pid").read_text()))


def test_output_is_passed_on_line_by_line_and_progress_bars_too(fake_dvc):
    code = "import sys; sys.stdout.write('one\\n 10%|#\\r 20%|##\\rtwo\\n\\n'); sys.stderr.write('<4>three\\n')\n"
    code += "open('.stillhouse/stage-teacher.json', 'w').write('{}')"
    fake_dvc(code)
    logged = []

    def log(line, level=logging.INFO):
        logged.append((level, line))

    assert run_stage("teacher", 30, log=log) == "ran"
    info = [(logging.INFO, line) for line in ("one", " 10%|#", " 20%|##", "two")]
    assert sorted(logged) == sorted([*info, (logging.WARNING, "three")])


FAILING = """
import json, pathlib, sys
if 'checkout' in sys.argv: sys.exit()
tries = pathlib.Path('tries'); tries.write_text(tries.read_text() + 'x' if tries.exists() else 'x')
pathlib.Path('.stillhouse/stage-NAME.json').write_text(json.dumps({'message': 'the hub is away', 'again': AGAIN}))
sys.exit(1)
"""


@pytest.mark.parametrize(
    ("name", "again", "tries"), [("prepare", True, 3), ("prepare", False, 1), ("teacher", True, 1)]
)
def test_only_what_a_second_try_can_mend_is_tried_again(fake_dvc, tmp_path, prefect_server, name, again, tries):
    from prefect import flow

    fake_dvc(FAILING.replace("NAME", name).replace("AGAIN", str(again)))
    params = load_params(ROOT / "params.yaml")
    params = params.model_copy(update={"flow": params.flow.model_copy(update={"retry_delay_s": 0})})
    stage = prefect_task(replace(STAGES[name], retries=name == "prepare"), params)
    with pytest.raises(StageFailed, match=f"{name} failed: the hub is away"):
        flow(lambda: stage(), name="one-stage")()
    assert len((tmp_path / "tries").read_text()) == tries


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("failed to reproduce 'teacher': failed to run: python -m tasks.teacher, exited with -9", "memory ran out"),
        (
            "failed to reproduce 'teacher': [Errno 28] No space left on device",
            "No space left on device. Most often the",
        ),
        ("unexpected error", "teacher failed: unexpected error"),
    ],
)
def test_what_dvc_refuses_is_told_in_words_that_help(fake_dvc, said, message):
    fake_dvc(f"import sys; print('ERROR: ' + {said!r}); sys.exit(255 if 'repro' in sys.argv else 0)")
    with pytest.raises(StageFailed, match=message):
        run_stage("teacher", 30)


def test_two_flow_runs_never_train_at_once(fake_dvc, tmp_path, prefect_server, monkeypatch):
    from prefect import flow

    fake_dvc(
        "import time; f = open('log', 'a'); f.write('in '); f.flush(); time.sleep(1.5); f.write('out '); f.close()"
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    stage = prefect_task(STAGES["teacher"], load_params(ROOT / "params.yaml"))
    train = flow(lambda: stage(), name="train")
    threads = [threading.Thread(target=train) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join(60) for thread in threads]
    assert (tmp_path / "log").read_text().split() == ["in", "out", "in", "out"]


def test_a_place_on_the_gpu_is_free_again_when_its_holder_is_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)  # another test may have set it
    code = "import sys, time; from stillhouse.pipeline.slots import gpu_slot\n"
    code += "with gpu_slot(1, print): print('holds', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "holds\n"
    said = []
    with gpu_slot(2, said.append), gpu_slot(1, said.append, "cuda:1"):  # another place; another GPU
        assert not said
    threading.Timer(1, holder.kill).start()
    with gpu_slot(1, said.append):
        assert len(said) == 1 and re.match(r"waiting since \d\d:\d\d:\d\d for a GPU slot \(flow.gpu_slots\)", said[0])


def test_trials_of_a_study_take_places_on_the_gpu(tmp_path, monkeypatch):
    from contextlib import contextmanager

    from flows import study

    at_once, most = [], []

    @contextmanager
    def child(command, *_, **__):
        at_once.append(command)
        most.append(len(at_once))
        time.sleep(0.3)
        yield type("Child", (), {"stdout": [], "wait": lambda self: 0})(), None
        at_once.pop()

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(study, "child_process", child)
    params = load_params(ROOT / "params.yaml")
    for slots, expected in ((1, 1), (2, 2)):
        most.clear()
        settings = params.model_copy(update={"flow": params.flow.model_copy(update={"gpu_slots": slots})})
        trial = threading.Thread(target=study._trial.fn, args=(1, {}, str(tmp_path), settings, {}))
        other = threading.Thread(target=study._trial.fn, args=(2, {}, str(tmp_path), settings, {}))
        [thread.start() for thread in (trial, other)]
        [thread.join(20) for thread in (trial, other)]
        assert len(most) == 2 and max(most) == expected


def test_a_training_whose_gpu_is_gone_says_so_and_every_one_tells_its_device(monkeypatch, caplog):
    message = {}
    monkeypatch.setattr(stage_module, "last_devices", lambda *_: {"teacher": "cuda, NVIDIA H100"})
    tracked = type("Tracked", (), {"tags": staticmethod(message.update)})
    stage_module._record_device(tracked, STAGES["teacher"], load_params(ROOT / "params.yaml"), "cpu")
    assert message["stillhouse.device"].startswith("cpu")
    assert "teacher trains on cpu" in caplog.text and "the last time it was cuda, NVIDIA H100" in caplog.text


def test_prefect_keeps_its_database_in_the_project_unless_told_otherwise(tmp_path, monkeypatch):
    from flows.shared.environment import own_prefect_home

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    (tmp_path / "params.yaml").touch()
    own_prefect_home()
    assert os.environ["PREFECT_HOME"] == str(tmp_path / ".stillhouse" / "prefect")
    monkeypatch.setenv("PREFECT_HOME", "/elsewhere")
    own_prefect_home()
    assert os.environ["PREFECT_HOME"] == "/elsewhere"


def test_what_a_version_made_again_differs_in_is_named_with_its_stage():
    def lock(data: str, model: str) -> dict:
        stage = {"deps": [{"path": "data.csv", "md5": data}], "outs": [{"path": "outputs/prepare/x", "md5": model}]}
        return {"stages": {"prepare": stage}}

    assert differing(lock("a", "b"), lock("a", "b")) == []
    assert differing(lock("a", "b"), lock("c", "d")) == [
        ["data.csv", "another", "read by prepare"],
        ["outputs/prepare/x", "another", "made by prepare"],
    ]


def test_a_run_page_begins_with_the_decision_of_the_gate_and_the_models():
    numbers = {"accuracy_low": 0.8, "accuracy_high": 1.0, "macro_f1": 0.9, "teacher_agreement": 0.9, "megabytes": 0.1}
    models = {
        name: quality_of({**numbers, "accuracy": accuracy})
        for name, accuracy in (("teacher", 0.95), ("compressed student", 0.91))
    }
    summary = Summary(
        report="/p/report.html",
        name="topics",
        version=3,
        aliases=["challenger"],
        about="Did not pass the gate of register:\n\n- FAILED: too large\n\nAbout the data.",
        page="/#/experiments/1/runs/7",
        models=models,
        classes=[ClassCounts("a", 5, 5, 5, 5), ClassCounts("b", 5, 5, 5, 5)],
        outcomes={"prepare": "ran"},
        seconds={"prepare": 1.0},
        fleet=None,
    )
    page = summary.markdown()
    assert page.startswith("## topics version 3 (`@challenger`)\n\n**Did not pass the gate of register.**\n\n| model |")
    order = [
        "| compressed student | 91.0 % |",
        "- FAILED: too large",
        "`models:/topics/3`",
        "/p/report.html",
        "### Stages",
    ]
    assert sorted(order, key=page.index) == order
    assert "/#/experiments/1/runs/7" in summary.text(1.0)


def test_a_stop_that_arrives_where_no_exception_can_be_raised_ends_the_command_with_one_line():
    code = """
import signal
from flows.shared.stopping import command

class Value:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)

@command
def main():
    Value()

main()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 143
    assert done.stderr == "\nStopped by SIGTERM. Nothing is lost: the next run goes on from here.\n"
