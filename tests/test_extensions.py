"""An extension is one file: its name is allowed in params.yaml, and it is trained, read or applied by that name."""

import importlib
import shutil
import subprocess
import sys

import pytest
from project import ROOT
from pydantic import BaseModel

from stillhouse.distillation.losses import LOSSES, signal_of
from stillhouse.errors import StillhouseError
from stillhouse.models.students.architectures import ARCHITECTURES
from stillhouse.params import Device, Params
from stillhouse.params.student import ATTENTION_STUDENTS, RELATION_LOSSES
from stillhouse.registry import Registry, register

TOYS = {
    "distillation/losses/toy.py": """
from stillhouse.registry import register
@register
def toy(student, teacher, labels, temperature):
    return (student - teacher).abs().mean(1)
""",
    "models/students/architectures/toy.py": """
from stillhouse.models.students.network import TextNetwork
from stillhouse.registry import register
@register
class Toy(TextNetwork):
    def __init__(self, vocabulary, classes, settings):
        super().__init__(vocabulary, classes, settings, states=settings.embedding)
    def encode(self, x, mask):
        return x * mask.unsqueeze(2), mask
""",
    "data/sources/toy.py": """
from datasets import Dataset
from stillhouse.data.source import Source
from stillhouse.registry import register
@register
def toy(data, cache):
    return Source({"train": Dataset.from_dict({"text": [data.path], "label": ["a"]})}, {"train": "toy"})
""",
    "compression/quantisations/toy.py": """
import shutil
from stillhouse.registry import register
@register
def toy(source, file, batches, network):
    shutil.copy(source, file)
""",
}
USE = """
from pathlib import Path
import torch
from stillhouse.compression.quantisations import QUANTISATIONS
from stillhouse.data.sources import load_source
from stillhouse.data.vocabulary import learn_vocabulary
from stillhouse.distillation.objective import Batch, distillation
from stillhouse.models.students.student import build_student, load_student, save_student
from stillhouse.params import check_params
from stillhouse.params.files import read_yaml

content = read_yaml(Path("params.yaml"))
content["data"]["source"] = content["student"]["network"]["architecture"] = content["compress"]["quantisation"] = "toy"
content["student"]["losses"] = {"toy": 1.0}
params = check_params(content, "params.yaml")
assert load_source(params.data, Path("cache")).splits["train"]["text"] == ["data"]
tokenizer = learn_vocabulary(["rain and storm"] * 9, params.student.vocabulary)
torch.manual_seed(0)
save_student(build_student(tokenizer, ["a", "b"], params.student.network), Path("model"))
network = load_student(Path("model")).network.train()
batch = Batch(torch.tensor([[2, 3], [4, 0]]), torch.tensor([0, -1]), logits=torch.tensor([[9.0, -9.0], [-9.0, 9.0]]))
objective = distillation(params.student, 1.0, network, 8)
adam = torch.optim.Adam(network.parameters(), 0.05)
values = []
for _ in range(40):
    loss = objective(network, batch, 0.0)
    adam.zero_grad(), loss.backward(), adam.step()
    values.append(loss.item())
assert values[-1] < 0.5 * values[0], values
QUANTISATIONS[params.compress.quantisation](Path("model/config.json"), Path("copy"), [], network)
assert Path("copy").exists()
"""


def test_one_new_file_makes_a_loss_a_student_a_source_and_a_quantisation(tmp_path):
    shutil.copytree(ROOT / "stillhouse", tmp_path / "stillhouse", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "params.yaml", tmp_path)
    for file, text in TOYS.items():
        (tmp_path / "stillhouse" / file).write_text(text)
    done = subprocess.run([sys.executable, "-c", USE], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_reading_the_parameters_imports_none_of_the_extensions():
    code = "import sys, stillhouse.params; print([name for name in sys.modules if name.split('.')[0] in " + (
        "('torch', 'datasets', 'onnx', 'onnxruntime', 'transformers')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_the_parameters_know_of_attention_is_what_the_code_has():
    assert {name for name in LOSSES if signal_of(LOSSES[name]) == "relations"} == {*RELATION_LOSSES}
    assert {name for name in ARCHITECTURES if ARCHITECTURES[name].attends} == {*ATTENTION_STUDENTS}


def test_a_file_that_registers_nothing_or_two_objects_is_refused(monkeypatch, tmp_path):
    (tmp_path / "plugins").mkdir()
    for name, text in {"__init__": "", "empty": "", "_shared": "", "fine": "@register\ndef one(): ...\n"}.items():
        (tmp_path / "plugins" / f"{name}.py").write_text(f"from stillhouse.registry import register\n{text}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(importlib.import_module("stillhouse.registry"), "__file__", str(tmp_path / "x" / "registry.py"))
    plugins = Registry("plugins")
    assert tuple(plugins) == ("empty", "fine") and plugins["fine"].__name__ == "one"
    with pytest.raises(StillhouseError, match="plugins.empty must mark its extension with @register"):
        plugins["empty"]
    with pytest.raises(StillhouseError, match="has no 'other'; it has empty, fine"):
        plugins["other"]

    def one():
        pass

    one.__module__ = "plugins.fine"
    with pytest.raises(StillhouseError, match="registers more than one object"):
        register(one)


def fields_with_defaults(model, prefix=""):
    found = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found += fields_with_defaults(kind, f"{prefix}{name}.")
        elif not field.is_required():
            found.append(prefix + name)
    return found


def test_the_defaults_are_in_params_yaml_alone():
    assert fields_with_defaults(Params) == []
    assert [name for name, field in Device.model_fields.items() if not field.is_required()] == ["min_class_recall"]


def test_params_yaml_begins_with_what_every_project_sets():
    top, *rest = (
        (ROOT / "params.yaml").read_text().partition("# From here on: measured defaults alone.")[0].split("\n\n")
    )
    named = [line.removeprefix("#") for line in top.splitlines() if line.startswith("#   ")]
    keys = [key.strip() for line in named for key in line.split(",")]
    first = []
    for paragraph in rest:
        lines = [line for line in paragraph.partition("# measured defaults follow")[0].splitlines() if line.strip()]
        section = ""
        for line in lines:
            key, _, value = line.partition(":")
            if line.startswith(" "):
                first.append(f"{section}.{key.strip()}")
            elif value.strip():
                first.append(key)
            else:
                section = key
    assert first == keys and len(keys) == 10
