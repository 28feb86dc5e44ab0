"""Finished classifiers: a checkpoint with its own head, as it is, for the classes of the data."""

import json

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset
from material import texts_and_labels, tiny_teacher
from project import ROOT
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BartConfig,
    BertConfig,
    RobertaConfig,
    pipeline,
)

from stillhouse.data.splits import Split, labels_of, read_split, write_split
from stillhouse.distillation.softlabels import write_soft_labels
from stillhouse.errors import BadInput
from stillhouse.labelling.beginning import begin_without_labels
from stillhouse.labelling.probe import free_probe
from stillhouse.models.finished import FinishedClassifier, ZeroShotClassifier, hypotheses, suffixes_of
from stillhouse.models.labels import match_labels
from stillhouse.models.teacher import load_teacher
from stillhouse.models.unchanged import load_finished
from stillhouse.params import OneTeacher, load_params

SETTINGS = load_params(ROOT / "params.yaml").teacher.each[0].model_dump()
CLASSES = ["cooking", "sport", "weather"]
TEXTS = [text for text, _ in texts_and_labels(9)]
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}

BART = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2, "decoder_ffn_dim": 64}
BART |= {"decoder_attention_heads": 2, "encoder_ffn_dim": 64, "eos_token_id": 3, "pad_token_id": 0, "bos_token_id": 2}


def checkpoint(folder, labels, kind=BertConfig, **config):
    """A tiny classifier with these labels."""
    tiny_teacher(folder)
    torch.manual_seed(1)
    vocabulary = len(AutoTokenizer.from_pretrained(folder))
    shape = {**SMALL, "vocab_size": vocabulary, "max_position_embeddings": 64, "id2label": dict(enumerate(labels))}
    shape["label2id"] = {label: number for number, label in enumerate(labels)}
    AutoModelForSequenceClassification.from_config(kind(**shape, **config)).save_pretrained(folder)
    return folder


def load(folder, classes=CLASSES, descriptions=None, **changes):
    content = {**SETTINGS, "model": str(folder), "max_length": 32, "finetune": "never", **changes}
    return load_finished(OneTeacher.model_validate(content), classes, descriptions or {})


def reloaded(teacher, folder):
    folder.mkdir()
    teacher.save(folder)
    return load_teacher(folder, 32, torch.device("cpu"))


def probabilities(folder):
    """The checkpoint's own probabilities, by transformers alone."""
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        logits = model.eval()(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits
    return logits.softmax(1).numpy()


def softmax(logits):
    return torch.from_numpy(logits).softmax(1).numpy()


def test_labels_with_the_names_of_the_classes_need_no_mapping(tmp_path):
    folder = checkpoint(tmp_path / "model", [" Weather", "SPORT", "cooking"])
    teacher = reloaded(load(folder), tmp_path / "saved")
    assert not isinstance(teacher.model, FinishedClassifier) and teacher.model.config.id2label[1] == "sport"
    np.testing.assert_allclose(softmax(teacher.logits(TEXTS, 2)), probabilities(folder)[:, [2, 1, 0]], atol=1e-5)


def test_a_label_that_is_left_out_gives_its_probability_to_the_others(tmp_path):
    folder = checkpoint(tmp_path / "model", ["weather", "other", "sport", "cooking"])
    teacher = reloaded(load(folder, labels={"other": None}), tmp_path / "saved")
    own = probabilities(folder)[:, [3, 2, 0]]
    np.testing.assert_allclose(softmax(teacher.logits(TEXTS, 2)), own / own.sum(1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("problem", [None, "multi_label_classification"])
def test_the_probabilities_of_several_labels_of_one_class_add_up(problem, tmp_path):
    labels = ["football", "tennis", "weather", "food", "other"]
    folder = checkpoint(tmp_path / "model", labels, problem_type=problem)
    mapping = {"football": "sport", "Tennis ": "sport", "food": "Cooking", "other": None}
    teacher = reloaded(load(folder, labels=mapping), tmp_path / "saved")
    own = probabilities(folder)
    if problem:
        model, tokenizer = (
            kind.from_pretrained(folder) for kind in (AutoModelForSequenceClassification, AutoTokenizer)
        )
        own = model.eval()(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits.sigmoid().detach().numpy()
    joined = np.stack([own[:, 3], own[:, 0] + own[:, 1], own[:, 2]], 1)
    np.testing.assert_allclose(softmax(teacher.logits(TEXTS, 2)), joined / joined.sum(1, keepdims=True), atol=1e-5)
    logits = write_soft_labels(teacher, [Dataset.from_dict({"text": TEXTS})], 4, False, 0, tmp_path)
    np.testing.assert_allclose(logits, teacher.logits(TEXTS, 9), atol=1e-5)
    assert np.load(tmp_path / "features.npy").shape == (9, 32)


@pytest.mark.parametrize(
    ("labels", "mapping", "messages"),
    [
        (
            ["LABEL_0", "LABEL_1", "LABEL_2"],
            {},
            ["Classes of the data without a label: cooking, sport, weather", "without a class: LABEL_0, LABEL_1, LABEL_2",
             'labels: {"LABEL_0": "cooking", "LABEL_1": "sport", "LABEL_2": "weather"}'],
        ),
        (["sport", "weather"], {}, ["has 2 labels (sport, weather) and the data 3 classes", "use another model"]),
        (["cooking", "sport", "weather", "news"], {}, ["abels without a class: news", 'labels: {"news": null}']),
        (["cooking", "sport", "weather"], {"wether": "weather"}, ["no labels of the checkpoint: wether"]),
        (["cooking", "sport", "rain"], {"rain": "wether"}, ["no classes of the data: wether", "without a label: weather"]),
        (["Sport", "SPORT", "cooking", "weather"], {}, ["without a label: sport", "without a class: Sport, SPORT"]),
    ],
)  # fmt: skip
def test_labels_that_do_not_match_are_named_with_the_mapping_to_write(labels, mapping, messages):
    with pytest.raises(BadInput) as raised:
        match_labels(labels, CLASSES, mapping, "some/model")
    for message in ("teacher.labels", "some/model", *messages):
        assert message in str(raised.value)


def test_an_exact_name_goes_before_one_in_another_case():
    assert match_labels(["Sport", "sport"], ["sport", "Sport"], {}, "m") == [[1], [0]]


def test_a_checkpoint_without_a_head_of_its_own_is_refused(tmp_path):
    folder = tiny_teacher(tmp_path / "model")
    AutoModelForSequenceClassification.from_pretrained(folder).base_model.save_pretrained(folder)
    with pytest.raises(BadInput, match=r"is no finished classifier: it lacks classifier.bias.*finetune: auto"):
        load(folder)


def test_a_gliclass_model_is_refused_with_what_to_use(tmp_path):
    folder = tiny_teacher(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text()) | {"model_type": "GLiClass"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadInput, match="is a GLiClass model.*zero-shot"):
        load(folder)


@pytest.mark.parametrize(
    ("kind", "more"),
    [(BertConfig, {}), (RobertaConfig, {"pad_token_id": 0, "type_vocab_size": 2}), (BartConfig, BART)],
)
def test_a_zero_shot_model_answers_as_the_pipeline_of_transformers(kind, more, tmp_path):
    folder = checkpoint(tmp_path / "model", ["contradiction", "neutral", "ENTAILMENT"], kind, **more)
    teacher = reloaded(load(folder, hypothesis="the day was {}"), tmp_path / "saved")
    assert isinstance(teacher.model, ZeroShotClassifier)
    found = pipeline("zero-shot-classification", model=str(folder))(
        TEXTS, CLASSES, hypothesis_template="the day was {}"
    )
    expected = [[dict(zip(one["labels"], one["scores"], strict=True))[name] for name in CLASSES] for one in found]
    for size in (1, 4):
        np.testing.assert_allclose(softmax(teacher.logits(TEXTS, size)), expected, atol=1e-5)
    logits = write_soft_labels(teacher, [Dataset.from_dict({"text": TEXTS})], 4, False, 0, tmp_path)
    np.testing.assert_allclose(logits, teacher.logits(TEXTS, 9), atol=1e-5)
    with pytest.raises(BadInput, match="relation_words"):
        write_soft_labels(teacher, [Dataset.from_dict({"text": TEXTS})], 4, False, 4, tmp_path)


def test_a_hypothesis_has_the_description_of_its_class_or_its_name(tmp_path):
    assert hypotheses("It is {}.", ["a", "b"], {"b": "two"}) == ["It is a.", "It is two."]
    folder = checkpoint(tmp_path / "model", ["entailment", "not_entailment"])
    plain, described = load(folder), load(folder, descriptions={"sport": "goal and team"})
    one, other = plain.logits(TEXTS, 9), described.logits(TEXTS, 9)
    assert np.allclose(one[:, [0, 2]], other[:, [0, 2]]) and not np.allclose(one[:, 1], other[:, 1])
    with pytest.raises(BadInput, match=r"reads at most 64 tokens with the \d+ of the longest hypothesis"):
        load(folder, max_length=60)


def test_a_tokenizer_that_puts_the_hypothesis_elsewhere_is_refused(tmp_path):
    from tokenizers import processors

    tokenizer = AutoTokenizer.from_pretrained(tiny_teacher(tmp_path / "model"))
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A [SEP]", pair="$B [SEP] $A [SEP]", special_tokens=[("[SEP]", 3)]
    )
    with pytest.raises(BadInput, match="does not put a hypothesis after a text"):
        suffixes_of(tokenizer, ["the team"], "some/model")


def test_a_finished_classifier_gives_the_first_labels_of_data_without_labels(tmp_path):
    folder = checkpoint(tmp_path / "model", CLASSES)
    texts = [f"{text} {number}" for number in range(20) for text in TEXTS]
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():  # without its bias the untrained head gives different texts different classes
        model.classifier.bias -= torch.from_numpy(np.log(probabilities(folder)).mean(0))
    model.save_pretrained(folder)
    nothing = Split(Dataset.from_dict({"text": ["a"]}), np.zeros(0, np.int64), np.zeros(0, np.int64))
    write_split(nothing, list(CLASSES), tmp_path / "empty.arrow")
    own = {"model": str(folder), "max_length": 32, "finetune": "never"}
    params = load_params(ROOT / "params.yaml")
    params = params.model_copy(update={"teacher": params.teacher.model_copy(update=own)})
    unlabelled, device = Dataset.from_dict({"text": texts}), torch.device("cpu")
    begin_without_labels(params, read_split(tmp_path / "empty.arrow"), unlabelled, device, tmp_path)
    train = read_split(tmp_path / "train.arrow")
    expected = load_finished(params.teacher, CLASSES, {}).logits(list(train["text"]), 8).argmax(1)
    assert len(train) > len(texts) / 2 and (labels_of(train) == expected).all()


def test_a_finished_classifier_is_what_a_machine_is_compared_with(tmp_path):
    folder = checkpoint(tmp_path / "model", CLASSES)
    train = Dataset.from_dict({"text": TEXTS, "label": [0] * len(TEXTS)}).cast_column(
        "label", ClassLabel(names=CLASSES)
    )
    settings = OneTeacher.model_validate({**SETTINGS, "model": str(folder), "max_length": 32, "finetune": "never"})
    found = free_probe(settings, {}, train, train.remove_columns("label"), 0)
    np.testing.assert_allclose(found.known, probabilities(folder), atol=1e-5)
    assert len(found.rows) == 0
