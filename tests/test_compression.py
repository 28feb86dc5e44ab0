"""Compression: each step measured, refused where it costs too much, and the result held to the trained student."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from project import ROOT

from stillhouse.compression import early_exit, formats
from stillhouse.compression.early_exit import ExitTexts, threshold
from stillhouse.compression.parity import AGREEMENT_TEXTS, Reference
from stillhouse.compression.quantisations import QUANTISATIONS
from stillhouse.compression.seal import write_digests
from stillhouse.compression.steps import compress_student
from stillhouse.compression.texts import CalibrationTexts, CompressionTexts
from stillhouse.data.splits import label_names, labels_of, read_split
from stillhouse.data.vocabulary import learn_vocabulary, load_vocabulary, truncate_vocabulary
from stillhouse.errors import StillhouseError
from stillhouse.evaluation.calibration import with_temperature
from stillhouse.models.students.student import load_student
from stillhouse.params import Vocabulary, load_params
from stillhouse.serving.classifier import Classifier
from stillhouse.serving.networks import ONNX, TABLES, OnnxNetwork, TableNetwork
from stillhouse.task import TASK

DEFAULT = load_params(ROOT / "params.yaml").compress


@pytest.fixture
def compress(finished, tmp_path):
    """Compress the finished project's student with some settings; the ladder and the folder."""
    outputs = finished.folder / "outputs"
    train, test = (read_split(outputs / "prepare" / f"{name}.arrow") for name in ("train", "test"))

    def run(change=lambda student: None, labelled=True, targets=None, **settings):
        student = load_student(outputs / "student" / "model")
        if vocabulary := settings.get("vocabulary"):  # the student itself is not to forget its words
            assert vocabulary < student.tokenizer.get_vocab_size()
        change(student)
        scratch = tmp_path / f"scratch-{len(list(tmp_path.iterdir()))}"
        scratch.mkdir()
        chosen = DEFAULT.model_copy(update={"early_exit": None, "temperature": 1.0} | settings)
        targets = TASK.targets(labels_of(test), len(label_names(test))) if targets is None else targets
        calibration = CalibrationTexts(list(test["text"]), targets, "labels")
        texts = CompressionTexts(train, ["goal"], ExitTexts(list(train["text"]), [list(test["text"])]), calibration)
        validation = test if labelled else test.select([])
        reference = Reference.of(student, validation, test.remove_columns("label"))
        ladder = compress_student(student, chosen, texts, reference, scratch, scratch / "model")
        return ladder, scratch / "model"

    return run


@pytest.mark.parametrize("kind", [*QUANTISATIONS, "none"])
def test_every_quantisation_answers_as_the_trained_student(compress, kind):
    ladder, model = compress(quantisation=kind)
    assert ladder.last == (kind if kind != "none" else "float32")
    message = ladder.numbers[ladder.last]
    assert message["agreement"] >= 0.97 and message["largest_difference"] < 0.1
    assert message["bytes"] == sum(file.stat().st_size for file in model.iterdir())
    if kind != "none":
        size = {name: message["bytes"] for name, message in ladder.numbers.items()}
        assert size[kind] < size["float32"]
    texts = ["goal match team", "flour butter oven", "rain wind storm"]
    assert list(Classifier.load(model).predict(texts)) == ["sport", "cooking", "weather"]


@pytest.mark.parametrize("kind", ["none", "int8_static", "int8_weights", "fp16"])
def test_a_temperature_divides_the_served_logits_and_changes_no_decision(compress, finished, kind):
    texts = list(read_split(finished.folder / "outputs" / "prepare" / "test.arrow")["text"])
    before = Classifier.load(compress(quantisation=kind)[1]).predict_proba(texts)
    ladder, model = compress(quantisation=kind, temperature=3.0)
    after = Classifier.load(model).predict_proba(texts)
    assert ladder.last == "temperature" and ladder.numbers["temperature"]["largest_difference"] < 0.1
    np.testing.assert_allclose(after, with_temperature(before, 3.0), atol=2e-3)
    np.testing.assert_array_equal(after.argmax(1), before.argmax(1))


def test_a_student_that_is_not_sure_enough_gets_a_temperature_and_a_calibrated_one_does_not(compress, finished, caplog):
    caplog.set_level("INFO", logger="stillhouse")
    texts = list(read_split(finished.folder / "outputs" / "prepare" / "test.arrow")["text"])
    own = Classifier.load(compress()[1]).predict_proba(texts).astype(float)
    ladder, _ = compress(temperature="auto", targets=own)
    assert ladder.temperature == 1.0 and ladder.calibration.used is False and "; refused" in caplog.text
    ladder, _ = compress(lambda student: divide(student, 5.0), temperature="auto", targets=own)
    assert ladder.last == "temperature" and ladder.temperature == pytest.approx(0.2, rel=0.1)
    assert ladder.calibration.after < ladder.calibration.before


def divide(student, temperature):
    with torch.no_grad():
        for part in (student.network.head.weight, student.network.head.bias):
            part.div_(temperature)


def test_with_a_temperature_the_early_exit_is_on_the_same_scale(compress, finished, monkeypatch):
    monkeypatch.setattr(early_exit, "MOST_BYTES", 10.0)
    monkeypatch.setattr(early_exit, "LEAST_CHECKS", 20)
    ladder, model = compress(early_exit=0.02, temperature=3.0)
    assert list(ladder.numbers)[-2:] == ["temperature", "early exit"]
    texts = list(read_split(finished.folder / "outputs" / "prepare" / "test.arrow")["text"])
    ids = Classifier.load(model)._prepared().chunks.ids(texts)
    tables = TASK.probabilities(TableNetwork((model / TABLES).read_bytes()).logits(ids))
    whole = TASK.probabilities(OnnxNetwork((model / ONNX).read_bytes()).logits(ids))
    assert abs(TASK.confidence(tables).mean() - TASK.confidence(whole).mean()) < 0.05


def test_with_an_early_exit_the_words_alone_decide_the_surest_texts(compress, finished, monkeypatch, caplog):
    monkeypatch.setattr(early_exit, "MOST_BYTES", 10.0)  # the network of this test has few bytes
    monkeypatch.setattr(early_exit, "LEAST_CHECKS", 20)
    caplog.set_level("INFO", logger="stillhouse")
    ladder, model = compress(early_exit=0.02)
    assert ladder.last == "early exit" and "early exit: used; the words alone decide" in caplog.text
    assert ladder.numbers["early exit"]["accuracy"] >= ladder.numbers["int8_static"]["accuracy"] - 0.02
    texts = list(read_split(finished.folder / "outputs" / "prepare" / "test.arrow")["text"])
    served, least = Classifier.load(model), json.loads((model / "config.json").read_text())["early_exit"]
    tables = TASK.probabilities(
        TableNetwork((model / TABLES).read_bytes()).logits(served._prepared().chunks.ids(texts))
    )
    sure, found = TASK.confidence(tables) >= least, served.predict_proba(texts)
    np.testing.assert_array_equal(found[sure], tables[sure])
    (plain := model.with_name("plain")).mkdir()
    for name in ("model.onnx", "tokenizer.json", "chunks.json", "config.json"):
        (plain / name).write_bytes((model / name).read_bytes())
    write_digests(plain)
    np.testing.assert_allclose(found[~sure], Classifier.load(plain).predict_proba(texts)[~sure], atol=1e-5)
    assert (
        sure.mean() >= 0.3 and np.mean(found.argmax(1) != Classifier.load(plain).predict_proba(texts).argmax(1)) <= 0.02
    )


def test_tables_that_are_large_or_decide_little_or_are_not_checked_are_left_out(compress, monkeypatch):
    assert compress(early_exit=0.02)[0].last == "int8_static"  # too few texts
    monkeypatch.setattr(early_exit, "LEAST_CHECKS", 20)
    monkeypatch.setattr(early_exit, "MOST_BYTES", 0.0)
    ladder, model = compress(early_exit=0.02)
    assert ladder.last == "int8_static" and not (model / TABLES).exists()
    monkeypatch.setattr(early_exit, "MOST_BYTES", 10.0)
    monkeypatch.setattr(early_exit, "LEAST_EXITS", 1.1)
    assert compress(early_exit=0.02)[0].last == "int8_static"


def test_the_threshold_of_an_early_exit_lets_no_more_texts_change_than_allowed():
    sure, agrees = np.array([0.9, 0.8, 0.8, 0.7, 0.6]), np.array([True, True, False, True, False])
    for limit, exits in ((0.0, [True, False, False, False, False]), (0.2, [True] * 4 + [False]), (0.4, [True] * 5)):
        assert (sure >= threshold(sure, agrees, limit)).tolist() == exits


def test_what_is_served_is_int8(finished):
    model = finished.folder / "outputs" / "compress" / "model" / "model.onnx"
    session = onnxruntime.InferenceSession(str(model))
    assert [node.type for node in session.get_inputs()] == ["tensor(int64)"]
    message = json.loads((finished.folder / "outputs" / "compress" / "metrics.json").read_text())
    assert list(message["steps"])[:2] == ["float32", "int8_static"] and message["last_step"] != "float32"
    assert b"QuantizeLinear" in model.read_bytes()


def test_a_vocabulary_cut_short_is_the_one_that_learning_would_have_stopped_at():
    texts = ["the cat sat on the mat"] * 5 + ["the hat of the cat"] * 3 + ["a bat and a rat"] * 4
    settings = Vocabulary(pieces=100, min_frequency=1, lowercase=True)
    whole = learn_vocabulary(texts, settings)
    for size in (28, 24, 20):
        stopped = learn_vocabulary(texts, settings.model_construct(pieces=size, min_frequency=1, lowercase=True))
        cut = truncate_vocabulary(whole, size)
        assert cut.get_vocab() == stopped.get_vocab() and cut.get_vocab_size() == size
        assert cut.encode("the cat that sat").ids == stopped.encode("the cat that sat").ids
    letters = truncate_vocabulary(whole, 1)
    assert letters.encode("tac").tokens == ["t", "a", "c"]


def test_a_pruned_vocabulary_gives_a_smaller_student_that_still_reads(compress, finished):
    whole = load_vocabulary(finished.folder / "outputs" / "control" / "model" / "tokenizer.json").get_vocab_size()
    ladder, model = compress(vocabulary=whole - 20, quantisation="none", tolerance=1.0, parity=0.0)
    assert ladder.last == f"{whole - 20} word pieces"
    assert ladder.numbers[ladder.last]["bytes"] < ladder.numbers["float32"]["bytes"]
    probabilities = Classifier.load(model).predict_proba(["goal match team", "", "zzz"])
    assert probabilities.shape == (3, 3) and np.isfinite(probabilities).all()


def test_a_step_that_costs_more_than_the_tolerance_is_refused_with_its_numbers(compress, caplog):
    ladder, model = compress(vocabulary=100, quantisation="int8", tolerance=0.0)
    lost = ladder.numbers["100 word pieces"]
    assert lost["refused"] == 1 and lost["accuracy"] < ladder.numbers["float32"]["accuracy"]
    assert "100 word pieces refused: it costs" in caplog.text
    # What follows is made of what was there before.
    assert ladder.last == "int8" and ladder.numbers["int8"]["refused"] == 0
    assert load_vocabulary(model / "tokenizer.json").get_vocab_size() > 100


def test_without_labelled_texts_a_step_that_changes_answers_is_refused(compress, caplog):
    ladder, _ = compress(vocabulary=100, quantisation="int8", labelled=False)
    assert ladder.numbers["100 word pieces"]["refused"] == 1 and "accuracy" not in ladder.numbers["int8"]
    assert "100 word pieces refused: it agrees with the trained student on only" in caplog.text
    assert ladder.last == "int8"


def test_a_result_that_answers_otherwise_than_the_trained_student_is_an_error(compress):
    with pytest.raises(StillhouseError, match="compress.parity requires 100.0%"):
        compress(vocabulary=100, quantisation="none", tolerance=1.0, parity=1.0)


def test_where_validation_is_small_other_texts_tell_whether_the_answers_agree(finished):
    outputs = finished.folder / "outputs"
    names = ("validation", "heldout", "unlabelled", "train")
    validation, *others = (read_split(outputs / "prepare" / f"{name}.arrow") for name in names)
    reference = Reference.of(load_student(outputs / "student" / "model"), validation, *others)
    assert len(reference.labels) == len(validation) < AGREEMENT_TEXTS == len(reference.probabilities)


def test_a_refused_quantisation_is_replaced_by_one_that_changes_less(compress, monkeypatch):
    def inverted(source, file, batches, network):
        model = onnx.load(source)
        for tensor in model.graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT:
                tensor.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(tensor), tensor.name))
        onnx.save(model, file)

    known = {name: QUANTISATIONS[name] for name in QUANTISATIONS}
    monkeypatch.setattr(formats, "QUANTISATIONS", known | {"int8": inverted})
    steps, _ = compress(quantisation="int8", tolerance=1.0, parity=0.9)
    assert steps.numbers["int8"]["refused"] and steps.last == "int8_weights"
