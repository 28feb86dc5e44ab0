import copy
import json
from pathlib import Path

import jsonschema
import pytest
from project import ROOT

from stillhouse.errors import BadInput
from stillhouse.params import check_params, load_params
from stillhouse.params.files import read_yaml
from stillhouse.params.schema import schema

GOOD = read_yaml(ROOT / "params.yaml")


def test_the_shipped_parameters_are_valid():
    assert load_params(ROOT / "params.yaml").student.network.architecture == "resnet"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("student.alpha", 1.5, "student.alpha: should be less than or equal to 1, but is 1.5"),
        ("student.alpha", -0.1, "student.alpha: should be greater than or equal to 0"),
        ("student.temperature", 0, "student.temperature: should be greater than 0, but is 0"),
        ("student.temprature", 2, "student.temprature: unknown key. Allowed here: size, vocabulary"),
        ("teacher.epochs", "two", "teacher.epochs: should be a valid number"),
        (
            "student.network.architecture",
            "rnn",
            "should be 'bag', 'bilstm', 'resnet', 'transformer', 'vgg' or 'teacher', but is 'rnn'",
        ),
        ("student.alpha", {"start": 1, "end": 2, "shape": "linear"}, "student.alpha must stay within 0 and 1"),
        (
            "student.alpha",
            {"start": 1, "end": 0, "form": "linear"},
            "student.alpha.form: unknown key. Allowed here: start",
        ),
        ("student.temperature", {"start": 0, "end": 1, "shape": "cosine"}, "student.temperature must stay above 0"),
        ("student.losses", {}, "student.losses is empty; name one or more of dist, dkd"),
        ("student.losses", {"kd": 1.0}, "should be 'dist', 'dkd'"),
        ("student.losses", {"minilm": 1.0}, "student.losses.minilm compares attention"),
        ("student.folds", 3, "student.folds is 3, but soft_labels.augment.folds makes 2 at most"),
        ("teacher.regularise", "both", "teacher.regularise"),
        ("teacher.labels", {"a": "b"}, "teacher.labels is for teacher.finetune: never"),
        ("teacher.hypothesis", "This is it.", "must have {} once"),
        ("teacher.weights", [1, 2], "must be auto or one number for each of 1 teachers"),
        ("teacher.others", [{"modle": "x"}], "teacher.others.0.modle: unknown key. Allowed here: model"),
        (
            "teacher.others",
            [{"finetune": "never", "pooling": "cls"}],
            "teacher.others, entry 1: teacher.finetune: never",
        ),
        (
            "teacher.others",
            [{"fsdp": True, "finetune": False}],
            "teacher.others, entry 1: teacher.fsdp divides fine-tun",
        ),
        ("teacher.reversed.ratio", 1.5, "teacher.reversed.ratio"),
        ("data.unlabelled", "raw", "the packaged sample has no such split"),
        ("study.search", {"teacher.epochs": [1]}, "only student.* can be searched"),
        ("study.search", {"student.alpha": 0.5}, "must be a list, or low and high"),
        ("study.search", {"student.alpha": {"low": 1, "high": 0}}, "low (1) must be below high (0)"),
        ("data.source", "hub", "data.hub_id must name a dataset"),
        ("data.test_fraction", 0.85, "must leave at least 10 %"),
        ("device", "gpu", "device"),
        ("register.name", "a/b", "register.name"),
        ("register.name", "a\nb", "register.name"),
        ("schedule.bogus", 1, "schedule.bogus: unknown key. Allowed here: cron, timezone"),
        ("schedule", None, "schedule: should be a valid dictionary"),
        ("teacher.learning_rate", float("inf"), "teacher.learning_rate: should be a finite number"),
        ("flow.gpu_slots", 10**20, "flow.gpu_slots"),
        ("flow.retries", 10**9, "flow.retries: should be less than or equal to 20"),
        ("flow.timeout_minutes", {"prepare": 1}, "lacks label"),
        ("seed", None, "seed"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_value_and_what_is_allowed(key, value, message):
    content = copy.deepcopy(GOOD)
    *parents, last = key.split(".")
    section = content
    for parent in parents:
        section = section[parent]
    section[last] = value
    with pytest.raises(BadInput) as raised:
        check_params(content, "params.yaml")
    assert message in str(raised.value)
    assert str(raised.value).startswith("params.yaml")


def test_a_missing_section_and_a_missing_file_are_named(tmp_path):
    with pytest.raises(BadInput, match="student: missing"):
        check_params({key: value for key, value in GOOD.items() if key != "student"}, "params.yaml")
    with pytest.raises(BadInput, match=r"nowhere\.yaml is missing"):
        load_params(Path("nowhere.yaml"))


@pytest.mark.parametrize(
    "text", ["seed: [1", "- 1\n- 2", "seed: 1\nseed: 2\n", "", "a: 2024-99-99", "a: " + "9" * 5000, "a: " + "[" * 3000]
)
def test_what_is_not_a_mapping_with_unique_keys_is_refused(tmp_path, text):
    file = tmp_path / "params.yaml"
    file.write_text(text)
    with pytest.raises(BadInput):
        load_params(file)


def test_the_committed_schema_is_that_of_the_parameters():
    assert (ROOT / "params.schema.json").read_text() == schema(), "run stillhouse check --schema"


def test_the_schema_accepts_the_shipped_parameters_and_refuses_what_the_pipeline_refuses():
    check = jsonschema.Draft202012Validator(json.loads(schema()))
    assert check.is_valid(GOOD)
    assert not check.is_valid(GOOD | {"sed": 1})
    assert not check.is_valid(GOOD | {"student": GOOD["student"] | {"alpha": 1.5}})


def test_a_further_teacher_has_the_values_of_the_first_but_not_those_of_its_model():
    content = copy.deepcopy(GOOD)
    content["teacher"] |= {
        "model": "a/b",
        "revision": "abc",
        "max_length": 64,
        "regularise": "reversed",
        "finetune": True,
        "fsdp": True,
    }
    content["teacher"]["others"] = [{"model": "c/d"}, {"pooling": "cls"}, {"finetune": "never", "labels": {"x": None}}]
    first, model, pooling, finished = check_params(content, "params.yaml").teacher.each
    assert (first.revision, model.revision, pooling.revision) == ("abc", None, "abc")
    assert {one.max_length for one in (model, pooling, finished)} == {64} and model.regularise == "reversed"
    assert finished.labels == {"x": None} and finished.regularise == "none"
    assert model.fsdp and not finished.fsdp  # there is no training to divide
