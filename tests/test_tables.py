"""A student without an encoder is served from tables: the same logits, with NumPy alone."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from material import tiny_model
from test_students import TEXTS, TOKENIZER, network_settings, token_ids

from stillhouse.compression.formats import Tables
from stillhouse.models.students.student import build_student
from stillhouse.serving import Classifier
from stillhouse.serving.chunks import ID
from stillhouse.serving.networks import TableNetwork

WIDE = {"embedding": 8, "buckets": 500, "max_length": 64, "dropout": 0.3}


def random_student(classes, bag, size):
    torch.manual_seed(classes)
    settings = network_settings("bag", bag=bag, wide=WIDE | {"embedding": size})
    student = build_student(TOKENIZER, [str(number) for number in range(classes)], settings)
    for parameter in student.network.parameters():
        torch.nn.init.normal_(parameter)
    student.network.embedding.weight.data[0] = 0.0
    student.network.eval().requires_grad_(False)
    return student


def rows_of(ids):
    return [
        ids[row][: length or None].numpy().astype(ID).tobytes() if length else b""
        for row, length in enumerate(lengths(ids))
    ]


def lengths(ids):
    return [int(row.nonzero().max()) + 1 if row.any() else 0 for row in ids]


@pytest.mark.parametrize("classes", [3, 40])  # fewer and more than the numbers of a vector
@pytest.mark.parametrize(("bag", "size"), [(True, 8), (True, 0), (False, 8)])
def test_tables_give_the_logits_of_the_student(tmp_path, classes, bag, size):
    student, file = random_student(classes, bag, size), tmp_path / "tables.npz"
    ids = token_ids([*TEXTS[:5], "", "rain"])
    ids[0, 2] = 0  # a text may contain the padding's name
    ids = ids[np.argsort([-length for length in lengths(ids)], kind="stable")]
    expected = student.network(ids).numpy()
    Tables().export(student, file)
    np.testing.assert_allclose(TableNetwork(file.read_bytes()).logits(rows_of(ids)), expected, rtol=1e-4, atol=1e-4)
    spread = expected.std()
    for kind, tolerance in (("fp16", 0.01), ("int8", 0.1), ("int8_static", 0.1)):
        Tables().quantise(kind, file, tmp_path / f"{kind}.npz", [], student.network)
        found = TableNetwork((tmp_path / f"{kind}.npz").read_bytes()).logits(rows_of(ids))
        assert np.abs(found - expected).max() < tolerance * spread
    with np.load(tmp_path / "int8.npz") as arrays:
        assert {arrays[name].dtype for name in ("words", "wide", "pairs")} == {np.dtype(np.int8)}


def test_a_pruned_vocabulary_drops_rows_alone(tmp_path):
    student, size = random_student(3, True, 8), TOKENIZER.get_vocab_size() - 20
    Tables().export(student, tmp_path / "whole.npz")
    Tables().prune(tmp_path / "whole.npz", tmp_path / "pruned.npz", size, student.network)
    whole, pruned = (TableNetwork((tmp_path / f"{name}.npz").read_bytes()) for name in ("whole", "pruned"))
    row = np.arange(4, size, dtype=ID).tobytes()
    np.testing.assert_array_equal(whole.logits([row]), pruned.logits([row]))
    with pytest.raises(IndexError):
        pruned.logits([np.array([size], ID).tobytes()])


def test_it_predicts_without_onnxruntime(tmp_path):
    model = tiny_model(tmp_path / "model", architecture="bag")
    code = f"""
import sys
sys.modules["onnxruntime"] = None
from stillhouse.serving import Classifier
print(*Classifier.load({str(model)!r}).predict(["goal " * 40, "rain and wind", ""]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == Classifier.load(model).predict(["goal " * 40, "rain and wind", ""]).tolist()
