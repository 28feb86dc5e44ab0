"""How many texts are read at once, batches made ahead, and examples that lie on the device."""

import logging
import threading

import numpy as np
import pytest
import torch
from datasets import Dataset
from material import texts_and_labels, tiny_teacher
from project import ROOT
from transformers import AutoTokenizer, DataCollatorWithPadding

from stillhouse.data.encoded import encode_texts
from stillhouse.data.vocabulary import learn_vocabulary
from stillhouse.distillation.examples import Examples
from stillhouse.distillation.resident import on_device, resident
from stillhouse.distillation.softlabels import write_soft_labels
from stillhouse.errors import BadInput
from stillhouse.models.batching import (
    PaddingCollator,
    ShrinkingBatches,
    explain_out_of_memory,
    fastest_size,
    pad,
    prefetched,
)
from stillhouse.models.pretrained import load_pretrained
from stillhouse.params import Vocabulary, check_params, load_params
from stillhouse.params.files import read_yaml

CPU = torch.device("cpu")
TEXTS = [text for text, _ in texts_and_labels(40)]


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_equals_that_of_transformers(side, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(tiny_teacher(tmp_path / "teacher"))
    tokenizer.padding_side = side
    tokens = dict(tokenizer(TEXTS[:9]))
    rows = np.array([4, 0, 7])
    expected = tokenizer.pad(
        {name: [lists[row] for row in rows] for name, lists in tokens.items()}, return_tensors="pt"
    )
    found = pad(tokens, rows, tokenizer)
    assert sorted(found) == sorted(expected) and all(torch.equal(found[name], expected[name]) for name in found)
    columns = [
        {name: lists[row] for name, lists in tokens.items()} | {"labels": row, "hint": [0.5, float(row)]}
        for row in rows
    ]
    expected, found = DataCollatorWithPadding(tokenizer)(columns), PaddingCollator(tokenizer)(columns)
    assert sorted(found) == sorted(expected)
    assert all(torch.equal(found[name], expected[name]) and found[name].dtype == expected[name].dtype for name in found)


def fits(most):
    def ask(part):
        if part.stop - part.start > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB. GPU 0 has 1 GiB.")
        return part.stop - part.start

    return ask


def test_memory_that_does_not_suffice_halves_the_portions_for_good(caplog):
    portions = ShrinkingBatches(32)
    assert [answer for _, answer in portions.run(50, fits(9))] == [8, 8, 8, 8, 8, 8, 2]
    assert [answer for _, answer in portions.run(9, fits(9))] == [8, 1]
    assert len(caplog.records) == 2 and "out of memory with 32 texts at once; 16 from now on" in caplog.text
    with pytest.raises(torch.OutOfMemoryError):
        list(ShrinkingBatches(4).run(4, fits(0)))


def test_the_fastest_size_is_where_doubling_gains_no_more():
    def rate(size):
        return fits(256)(slice(0, size)) and min(size, 128)

    assert fastest_size(rate) == 128
    assert fastest_size(lambda size: fits(64)(slice(0, size))) == 64
    assert fastest_size(lambda size: fits(1)(slice(0, size))) == 32


def test_what_is_made_ahead_comes_in_order_with_its_error():
    threads = set()

    def items():
        for number in range(5):
            threads.add(threading.current_thread())
            yield number
        raise ValueError("five")

    seen = []
    with pytest.raises(ValueError, match="five"):
        for item in prefetched(items(), 2):
            seen.append(item)
    assert seen == list(range(5)) and threading.main_thread() not in threads
    assert list(prefetched(iter("abc"), 0)) == ["a", "b", "c"]


def test_a_gpu_that_is_too_small_is_a_message():
    with pytest.raises(BadInput, match="Tried to allocate 9 GiB. Lower x.$"), explain_out_of_memory("Lower x."):
        fits(0)(slice(0, 1))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    folder = tiny_teacher(tmp_path_factory.mktemp("teacher"))
    changes = {"model": str(folder), "max_length": 16, "freeze_layers": 0}
    return load_pretrained(load_params(ROOT / "params.yaml").teacher.model_copy(update=changes), ["a", "b", "c"])


@pytest.mark.parametrize("words", [0, 4])
def test_soft_labels_are_the_same_where_memory_ends(teacher, words, tmp_path, monkeypatch, caplog):
    texts = Dataset.from_dict({"text": TEXTS})
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = np.array(write_soft_labels(teacher, [texts], 16, False, words, tmp_path / "whole"))
    forward = type(teacher.model).forward

    def limited(self, input_ids, **others):
        result = forward(self, input_ids, **others)
        if len(input_ids) > 5:  # after the layers ran, as where the last of them has no room
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return result

    monkeypatch.setattr(type(teacher.model), "forward", limited)
    with caplog.at_level(logging.WARNING):
        parts = write_soft_labels(teacher, [texts], 16, False, words, tmp_path / "parts")
    assert caplog.text.count("out of memory") == 2  # 16, 8: not again for every batch
    np.testing.assert_allclose(parts, whole, atol=1e-5)
    if words:
        one, other = (np.load(tmp_path / name / "relations.npy") for name in ("whole", "parts"))
        np.testing.assert_allclose(one, other, atol=2e-3)


def test_examples_on_the_device_give_the_same_batches(tmp_path):
    texts = Dataset.from_dict({"text": [*TEXTS, "", "rain"]})
    tokenizer = learn_vocabulary(texts["text"], Vocabulary(pieces=120, min_frequency=1, lowercase=True))
    encoded = encode_texts([texts], tokenizer, 32, tmp_path / "ids", words=True)
    random = np.random.default_rng(0)
    examples = Examples(
        encoded,
        random.integers(-1, 3, len(texts)),
        random.normal(size=(60, 3)).astype(np.float32),
        random.normal(size=(60, 8)).astype(np.float16),
        random.normal(size=(60, 3, 4, 8)).astype(np.float16),
        random.permutation(60)[: len(texts)],
    )
    for needs in (frozenset(), frozenset({"logits"}), frozenset({"logits", "features", "relations"})):
        there = on_device(examples, CPU, needs)
        for rows in (np.array([40]), np.array([3, 41, 40, 7]), np.arange(len(texts))):
            plain, own = examples.batch(rows, CPU, needs), there.batch(rows, CPU, needs)
            for name, tensor in vars(plain).items():
                other = getattr(own, name)
                assert (tensor is None) == (other is None), name
                assert tensor is None or (tensor.dtype == other.dtype and torch.equal(tensor, other)), name
    assert resident(examples, CPU, frozenset()) is examples


@pytest.mark.parametrize("value", [0, "some", 2.5])
def test_the_batch_size_is_auto_or_a_count(value):
    content = read_yaml(ROOT / "params.yaml")
    content["soft_labels"]["batch_size"] = value
    with pytest.raises(BadInput, match=r"soft_labels\.batch_size: .*but is"):
        check_params(content, "params.yaml")
