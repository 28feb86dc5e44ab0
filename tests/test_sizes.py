"""Sizes of the student: named settings, and the climb to the first that passes the gate."""

import json

import numpy as np
import pytest
from project import ROOT
from test_every_student import inside, run

from stillhouse.errors import BadInput
from stillhouse.params import check_params, load_params
from stillhouse.params.files import read_yaml
from stillhouse.pipeline.artefacts import path
from tasks import compress, evaluate, register, student

PARAMS = read_yaml(ROOT / "params.yaml")


def with_size(size, **sizes):
    content = PARAMS | {"student": PARAMS["student"] | {"size": size}, "sizes": PARAMS["sizes"] | sizes}
    return check_params(content, "params.yaml")


def test_a_size_changes_the_settings_that_it_names_and_custom_changes_none():
    params = with_size("nano")
    nano = params.for_size("nano")
    assert nano.student.network.architecture == "bag" and nano.compress.quantisation == "int8"
    assert nano.student.network.wide.dropout == params.student.network.wide.dropout
    assert check_params(params.model_dump(by_alias=True), "params.yaml").for_size("nano") == nano
    assert params.for_size("custom") is params and params.for_size("small").student.network == params.student.network


def test_a_device_takes_a_size_by_its_name_and_changes_it():
    limits = {"threads": 1, "min_retention": 0.9, "max_size_mb": 2.0, "max_latency_ms": 5.0}
    edge = limits | {"size": "nano", "student": {"network": {"embedding": 32}}, "compress": {"quantisation": "fp16"}}
    params = check_params(PARAMS | {"devices": {"edge": edge}}, "params.yaml").for_device("edge")
    assert (params.student.network.architecture, params.student.network.embedding) == ("bag", 32)
    assert params.compress.quantisation == "fp16" and params.student.network.wide.embedding == 24


@pytest.mark.parametrize("size", ["none", "auto", "large"])
def test_a_device_has_a_size_that_can_be_trained(size):
    limits = {"threads": 1, "min_retention": 0.9, "max_size_mb": 2.0, "max_latency_ms": 5.0}
    edge = limits | {"size": size, "student": {}, "compress": {}}
    with pytest.raises(BadInput, match=r"devices.edge.size( must be one of custom, nano|: a device cannot)"):
        check_params(PARAMS | {"devices": {"edge": edge}}, "params.yaml")


@pytest.mark.parametrize(
    ("size", "sizes", "message"),
    [
        ("tiny", {}, "student.size must be one of auto, custom, nano, small, base, large, but is 'tiny'"),
        ("small", {"auto": {"student": {}, "compress": {}}}, "sizes.auto: this name is reserved"),
        (
            "nano",
            {"nano": {"student": {"vocabulary": {"min_frequency": 9}}, "compress": {}}},
            "sizes.nano.student.vocabulary: the vocabulary is learnt once, by student.vocabulary; a size may only use",
        ),
        (
            "auto",
            {"nano": {"student": {"network": {"width": 30}, "losses": {"minilm": 1.0}}, "compress": {}}},
            "sizes.nano.student",
        ),
        ("small", {"nano": {"student": {"network": {"widht": 3}}, "compress": {}}}, "sizes.nano.student.network.widht"),
    ],
)
def test_a_wrong_size_is_refused(size, sizes, message):
    with pytest.raises(BadInput) as raised:
        with_size(size, **sizes)
    assert message in str(raised.value)


def test_the_climb_ends_with_the_first_size_that_passes(project, caplog):
    weak = {"student": {"training": {"epochs": 1, "learning_rate": 1e-6}}, "compress": {}}
    strong = {"student": {}, "compress": {}}
    project.set(student__size="auto", sizes={"weak": weak, "strong": strong, "never": strong})
    project.set(student__training__epochs=8, register__min_retention=0.9)
    (project.folder / "dvc.lock").write_text("schema: '2.0'\n")  # the stages are run without DVC here
    caplog.set_level("INFO")
    with inside(project):
        for stage in (student, compress, evaluate, register):
            run(stage)
        numbers, models = (
            json.loads(path(f"{name}/metrics.json").read_text(encoding="utf-8")) for name in ("student", "evaluate")
        )
    assert numbers["size"] == "strong" and list(numbers["sizes"]) == ["weak", "strong"]
    accuracy = {name: one["accuracy"] for name, one in models["models"].items()}
    assert accuracy["student (weak)"] < accuracy["compressed student"]
    assert "size weak: " in caplog.text and "FAILED: has" in caplog.text


def test_the_bag_needs_something_to_read():
    content = PARAMS["student"] | {"size": "custom"}
    content["network"] = content["network"] | {"architecture": "bag", "bag": False}
    content["network"]["wide"] = content["network"]["wide"] | {"embedding": 0}
    with pytest.raises(BadInput, match="architecture: bag needs bag: true, or a wide branch"):
        check_params(PARAMS | {"student": content}, "params.yaml")
    assert np.isfinite(load_params(ROOT / "params.yaml").for_size("nano").student.network.reads)
