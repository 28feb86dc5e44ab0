"""The stages ``label`` and ``teacher`` with a language model: its audit, its cap and its stored answers."""

import json

import pytest
from llm_server import scripted_server
from material import texts_and_labels
from project import new_project
from test_every_student import inside, run

from flows.estimate import estimated
from stillhouse.pipeline.artefacts import path
from tasks import control, label, prepare, teacher


def read(name):
    return json.loads(path(name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A project with 12 labels a class, whose language model is right on nine of ten texts, and the model's server."""
    project = new_project(tmp_path_factory.mktemp("label") / "project")
    with scripted_server(dict(texts_and_labels(360)), right=0.9) as server:
        project.set(
            data__labels_per_class=12,
            teacher__finetune=False,
            teacher__cotraining=3,
            label__source="language_model",
            label__url=server.url,
            label__model="scripted",
            label__key=None,
            label__texts=120,
            label__test_texts=30,
            label__max_cost=0.0006,
            label__price={"input": 0.1, "output": 0.1},
        )
        yield project, server


def test_a_language_model_labels_up_to_a_cap_and_continues_when_it_is_raised(labelled, caplog):
    project, server = labelled
    caplog.set_level("INFO", logger="stillhouse")
    with inside(project):
        run(prepare)
        run(label)
        assert "label.max_cost ($0.0006) is reached" in caplog.text
        first, calls = read("label/metrics.json"), server.calls
        assert 0 < first["texts"] < 120 and read("label/costs.json")["dollars"] <= 0.0006
        estimate = str(estimated())
        assert "150 texts, of which" in estimate and "label.max_cost ($0.0006) is enough for about" in estimate
        assert server.calls == calls
        project.set(label__max_cost=1.0)
        for stage in (label, control, teacher):
            run(stage)
        second = read("label/metrics.json")
        assert second["texts"] > first["texts"] and second["test_texts"] == 30
        assert second["audit"]["texts"] >= 20 and second["audit"]["low"] < 0.9 < second["audit"]["high"]
        assert second["model"] == "scripted" and 0.0006 < second["dollars"] < 0.01
        assert server.calls > calls and read("teacher/metrics.json")["machine_weight"] == 1


def test_the_stage_run_again_pays_for_nothing_and_gives_the_same_bytes(labelled):
    project, server = labelled
    with inside(project):
        answers = path("label/answers")
        before, calls = {file.name: file.read_bytes() for file in answers.iterdir()}, server.calls
        numbers = path("label/metrics.json").read_bytes()
        run(label)
        assert {file.name: file.read_bytes() for file in answers.iterdir()} == before and server.calls == calls
        assert path("label/metrics.json").read_bytes() == numbers
