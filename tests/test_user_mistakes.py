"""A mistake ends with one message, status 1, no traceback, and everything that was there before."""

import json
import shutil

import pytest

from stillhouse.errors import BadInput, Unavailable
from stillhouse.models.pretrained import load_pretrained
from stillhouse.params import load_params
from stillhouse.pipeline.inputs import locked_stages


def outputs(project) -> dict[str, bytes]:
    files = [file for file in (project.folder / "outputs").rglob("*") if file.is_file()]
    return {str(file): file.read_bytes() for file in files}


def check(done, *message: str) -> None:
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    for text in message:
        assert text in done.stdout, done.stdout


def test_a_mistake_in_params_is_told_before_anything_starts(project):
    before = outputs(project)
    project.set(student__alpha=3)
    for done in (project.flow(), project.python("-m", "tasks.student"), project.python("-m", "flows.schedule")):
        check(done, "student.alpha: should be less than or equal to 1, but is 3")
        assert len(done.stdout.strip().splitlines()) < 25
    assert outputs(project) == before


@pytest.mark.parametrize("content", [b"", b"\x00\xff", b"stages: 3\n", b"stages:\n  teacher: 5\n"])
def test_a_damaged_dvc_lock_is_named_with_what_brings_it_back(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert locked_stages() == {}
    (tmp_path / "dvc.lock").write_bytes(content)
    with pytest.raises(BadInput, match=r"dvc.lock .*git checkout dvc.lock"):
        locked_stages()


def test_the_marks_of_a_merge_in_dvc_lock_are_told_before_anything_starts(project):
    before, lock = outputs(project), project.folder / "dvc.lock"
    lock.write_text(f"<<<<<<< HEAD\n{lock.read_text()}=======\n>>>>>>> other\n")
    check(project.flow(), "dvc.lock is not valid YAML in line", "git checkout dvc.lock")
    assert outputs(project) == before


def test_a_failed_stage_leaves_the_last_good_outputs_and_the_lock(project):
    before, lock = outputs(project), (project.folder / "dvc.lock").read_bytes()
    project.set(data__text_column="text")
    done = project.dvc("repro")
    check(done, "prepare failed: data/reviews.csv has no column 'text' (data.text_column). It has: 'review', 'topic'")
    assert outputs(project) == before and (project.folder / "dvc.lock").read_bytes() == lock
    project.set(data__text_column="review", student__training__learning_rate=1e12)
    done = project.dvc("repro")
    check(done, "Training diverged at step", "Lower student.training.learning_rate")
    assert outputs(project) == before and (project.folder / "dvc.lock").read_bytes() == lock
    project.set(student__training__learning_rate=0.01)
    assert "up to date" in project.dvc("status").stdout


def test_an_unreachable_tracking_server_is_told_at_the_start_without_its_password(project):
    before = outputs(project)
    project.set(register__margin=0.01)  # so that register has to run, and nothing else
    away = {"MLFLOW_TRACKING_URI": "http://alice:hush-hush@127.0.0.1:9"}
    message = "The MLflow tracking store http://alice:***@127.0.0.1:9 does not answer"
    done = project.flow(**away, timeout=90)
    check(done, message, "correct MLFLOW_TRACKING_URI")
    assert "hush-hush" not in done.stdout
    # A stage alone goes on; only to register needs the registry.
    done = project.dvc("repro", "--force", "--single-item", "prepare", **away, timeout=90)
    assert done.returncode == 0 and "waits in" in done.stdout and "hush-hush" not in done.stdout, done.stdout
    done = project.dvc("repro", **away, timeout=90)
    check(done, f"register failed: {message}")
    assert outputs(project) == before
    written = [file for file in project.folder.rglob("*") if file.is_file()]
    assert [file for file in written if b"hush-hush" in file.read_bytes()] == []


def test_an_output_folder_that_cannot_be_written_is_named(project):
    shutil.rmtree(project.folder / "outputs")
    (project.folder / "outputs").write_text("a file in the way")
    check(project.python("-m", "tasks.prepare"), "the output folder", "outputs is not writable")
    assert (project.folder / "outputs").read_text() == "a file in the way"


SETTINGS = load_params().teacher


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        ("somebody/no-such-model", Unavailable, "HF_HOME"),
        ("./no/such/folder", BadInput, "does not exist"),
        ("/tmp", BadInput, "holds no config.json"),
    ],
)
def test_an_unknown_teacher_is_named_with_what_works_offline(model, error, message):
    with pytest.raises(error, match=message) as raised:
        load_pretrained(SETTINGS.model_copy(update={"model": model}), ["a", "b"])
    assert "teacher.model" in str(raised.value)


def test_a_checkpoint_without_safetensors_or_with_too_few_positions_is_refused(finished, tmp_path):
    folder = tmp_path / "teacher"
    shutil.copytree(finished.folder / "data" / "teacher", folder)
    settings = SETTINGS.model_copy(update={"model": str(folder), "freeze_layers": 0, "max_length": 32})
    with pytest.raises(BadInput, match="reads at most 64 tokens"):
        load_pretrained(settings.model_copy(update={"max_length": 128}), ["a", "b"])
    with pytest.raises(BadInput, match="freeze_layers is 9"):
        load_pretrained(settings.model_copy(update={"freeze_layers": 9}), ["a", "b"])
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(BadInput, match="teacher.model"):
        load_pretrained(settings, ["a", "b"])
    (folder / "config.json").write_text(json.dumps({"model_type": "no-such-type"}))
    with pytest.raises(BadInput, match="cannot be loaded as a sequence classifier"):
        load_pretrained(settings, ["a", "b"])
