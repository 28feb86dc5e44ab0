"""Every student and every loss through the same stages: trained, resumed, compressed, registered, served."""

import contextlib
import json
import os
from pathlib import Path

import mlflow
import pytest
from project import Project

from stillhouse.evaluation import speed
from stillhouse.params import load_params
from stillhouse.pipeline.artefacts import path
from stillhouse.pipeline.stage import run as run_stage
from stillhouse.pipeline.stages import STAGES
from tasks import compress, control, register, soft_labels, student, teacher

LOSSES = {
    "vgg": {"dkd": 0.5, "features": 0.2},
    "bilstm": {"mse": 1.0, "standardised": 0.5},
    "transformer": {"dist": 1.0, "minilm": 0.5, "hinton": 1.0, "features": 0.1},
    "resnet": {"hinton": 1.0},
}


@contextlib.contextmanager
def inside(project: Project):
    """In the project's folder and tracking store, as its stages are. Speeds are measured in one round, not in three."""
    before = Path.cwd()
    os.environ.pop("MLFLOW_TRACKING_URI", None)  # which mlflow.set_tracking_uri sets, too
    os.chdir(project.folder)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(speed, "ROUNDS", 1)
            yield
    finally:
        os.chdir(before)
        os.environ.pop("MLFLOW_TRACKING_URI", None)


def run(module) -> None:
    """A stage's command in this process, which saves the seconds of starting one."""
    name = module.__name__.rpartition(".")[2]
    run_stage(STAGES[name], getattr(module, name))


@pytest.mark.parametrize("architecture", LOSSES)
def test_a_student_goes_through_all_stages(project, architecture, monkeypatch, caplog):
    depth = 1 if architecture == "bilstm" else 2
    shape = {"architecture": architecture, "depth": depth, "width": 32, "heads": 2, "embedding": 16}
    for key, value in shape.items():
        project.set(**{f"student__network__{key}": value})
    project.set(
        student__start="teacher",
        student__losses=LOSSES[architecture],
        student__alpha={"start": 1.0, "end": 0.7, "shape": "cosine"},
        student__training__epochs=8,
        student__training__learning_rate={"transformer": 0.003, "bilstm": 0.02}.get(architecture, 0.01),
        student__training__average=0.5,
        student__generations=2 if architecture == "vgg" else 1,
        soft_labels__second_teachers=2 if architecture == "vgg" else 0,
        soft_labels__augment={
            "folds": 2 if architecture == "vgg" else 1,
            "mask": 0.1,
            "drop": 0.1,
            "ngram": 0.3,
            "ngram_words": 8,
        },
        soft_labels__relation_words=8 if architecture == "transformer" else 0,
    )
    (project.folder / "dvc.lock").write_text("schema: '2.0'\n")  # the stages are run without DVC here
    regularise = {"resnet": "reversed", "bilstm": "mutual"}.get(architecture, "none")
    project.set(teacher__regularise=regularise, teacher__epochs=6)
    with inside(project):
        run(control)
        if regularise != "none":
            run(teacher)
            assert json.loads(path("teacher/metrics.json").read_text())["validation_accuracy"] > 0.6
        run(soft_labels)
        seconds = json.loads(path("soft_labels/metrics.json").read_text())["second_teachers"]
        assert seconds == (2 if architecture == "vgg" else 0)  # the second one starts from the teacher
        # Stopped after some epochs, as by a crash; the checkpoint that is left is gone on from.
        from stillhouse.tracking.runs import Run

        metrics = Run.metrics

        def crashing(self, values, step=None):
            if step == 4 and "validation_accuracy" in values:
                raise KeyboardInterrupt
            metrics(self, values, step)

        with monkeypatch.context() as patch:
            patch.setattr(Run, "metrics", crashing)
            with pytest.raises(KeyboardInterrupt):
                run(student)
        caplog.set_level("INFO", logger="stillhouse")
        run(student)
        assert "resuming after epoch 3 of 8" in caplog.text
        run(compress)
        scores = path("student/metrics.json")
        assert '"validation_accuracy": ' in scores.read_text()
        run(register)
        name = load_params().model_name
        versions = mlflow.MlflowClient().search_model_versions(f"name = '{name}'")
        newest = max(int(version.version) for version in versions)
        assert newest == 2
        answers = mlflow.pyfunc.load_model(f"models:/{name}/{newest}").predict(
            ["rain and wind and storm", "the team and the coach", "butter and flour in a pan"]
        )
    assert [answer.label for answer in answers] == ["weather", "sport", "cooking"]
