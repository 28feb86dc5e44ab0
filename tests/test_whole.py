"""The largest student is the teacher itself: the same logits, saved, exported and quantised."""

import numpy as np
import onnxruntime
import pytest
import torch
from material import tiny_teacher
from project import ROOT
from test_students import TEXTS

from stillhouse.compression.export import export_onnx
from stillhouse.compression.quantisations import QUANTISATIONS
from stillhouse.errors import BadInput
from stillhouse.models.inherit import with_teacher_shape
from stillhouse.models.students.student import Student, load_student, save_student
from stillhouse.models.students.whole import FOLDER, copy_whole, load_whole
from stillhouse.models.teacher import load_teacher
from stillhouse.params import check_params, load_params
from stillhouse.params.files import read_yaml
from stillhouse.serving.networks import OnnxNetwork

NETWORK = load_params(ROOT / "params.yaml").student.network
LENGTH = 30


def rows_of(tokenizer, texts):
    rows = [tokenizer.encode(text, add_special_tokens=False).ids[:LENGTH] for text in texts]
    return sorted(rows, key=len, reverse=True)


@pytest.fixture
def whole(tmp_path):
    teacher = tiny_teacher(tmp_path / "source")
    network, tokenizer = load_whole(teacher, LENGTH)
    settings = NETWORK.model_copy(update={"architecture": "teacher", "max_length": LENGTH})
    student = Student(network, tokenizer, ["a", "b", "c"], settings)
    copy_whole(teacher, tmp_path / "model")
    save_student(student, tmp_path / "model")
    return student, teacher, tmp_path


def test_the_whole_teacher_answers_as_the_teacher_in_every_form(whole):
    student, folder, tmp_path = whole
    texts = sorted({*TEXTS, "rain"}, key=lambda text: -len(student.tokenizer.encode(text).ids))
    rows = [student.tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    expected = load_teacher(folder, LENGTH + 2, torch.device("cpu")).logits(texts, 4)
    ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
    with torch.inference_mode():
        np.testing.assert_allclose(student.network(ids), expected, atol=1e-5)
        np.testing.assert_allclose(load_student(tmp_path / "model").network(ids), expected, atol=1e-5)
    assert (tmp_path / "model" / FOLDER / "config.json").exists()
    export_onnx(student, tmp_path / "plain.onnx")
    QUANTISATIONS["int8_weights"](tmp_path / "plain.onnx", tmp_path / "int8.onnx", [], student.network)
    served = [np.array(row, np.int32).tobytes() for row in rows]
    for name, tolerance in (("plain", 1e-4), ("int8", 0.05)):
        found = OnnxNetwork((tmp_path / f"{name}.onnx").read_bytes()).logits(served)
        np.testing.assert_allclose(found, expected, atol=tolerance)
    options = onnxruntime.SessionOptions()
    assert onnxruntime.InferenceSession(str(tmp_path / "int8.onnx"), options).get_inputs()[0].name == "ids"


def test_the_control_cannot_be_a_teacher():
    content = read_yaml(ROOT / "params.yaml")
    content["student"]["network"]["architecture"] = "teacher"
    with pytest.raises(BadInput, match="is allowed in sizes alone"):
        check_params(content, "params.yaml")


def test_a_transformer_that_starts_from_the_teacher_has_its_width_and_heads(tmp_path):
    teacher, base = tiny_teacher(tmp_path), load_params(ROOT / "params.yaml").for_size("base").student
    shape = {"width": 32, "heads": 2}
    assert with_teacher_shape(base, teacher).network == base.network.model_copy(update=shape)
    for other in ({"start": "random"}, {"network": NETWORK}):
        settings = base.model_copy(update=other)
        assert with_teacher_shape(settings, teacher) == settings
