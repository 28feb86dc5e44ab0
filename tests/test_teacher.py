"""Checkpoints that a teacher can start from, and what is saved of it."""

import json

import numpy as np
import pytest
import torch
from material import tiny_teacher
from project import ROOT
from transformers import AlbertConfig, AlbertForSequenceClassification, AutoModel, AutoTokenizer

from stillhouse.errors import BadInput
from stillhouse.models.encoder import EncoderClassifier
from stillhouse.models.pretrained import load_pretrained
from stillhouse.models.teacher import load_teacher
from stillhouse.params import load_params

SETTINGS = load_params(ROOT / "params.yaml").teacher.model_copy(update={"max_length": 32, "freeze_layers": 1})
TEXTS = ["the goal of the match", "butter and flour", "rain", "the team in the storm " * 9]


@pytest.fixture
def checkpoint(tmp_path):
    return tiny_teacher(tmp_path / "checkpoint")


@pytest.fixture
def encoder(checkpoint):
    """The same checkpoint as sentence-transformers publishes one: no head, and a note on pooling."""
    AutoModel.from_pretrained(checkpoint).save_pretrained(checkpoint)
    (checkpoint / "1_Pooling").mkdir()
    (checkpoint / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    return checkpoint


def load(folder, **changes):
    return load_pretrained(SETTINGS.model_copy(update={"model": str(folder), **changes}), ["a", "b", "c"])


def test_a_classifier_keeps_its_head_and_gets_the_label_names(checkpoint):
    teacher = load(checkpoint)
    assert not isinstance(teacher.model, EncoderClassifier)
    assert teacher.model.config.id2label == {0: "a", 1: "b", 2: "c"}
    assert teacher.logits(TEXTS, 2).shape == (4, 3)


def test_a_sentence_encoder_is_pooled_by_mean_unless_told_otherwise(encoder):
    assert isinstance(load(encoder).model, EncoderClassifier)
    assert not isinstance(load(encoder, pooling="head").model, EncoderClassifier)


@pytest.mark.parametrize("kind", ["checkpoint", "encoder"])
def test_a_saved_teacher_answers_as_before_whatever_it_is_batched_with(kind, request, tmp_path):
    teacher = load(request.getfixturevalue(kind))
    before = teacher.logits(TEXTS, 4)
    teacher.model.save_pretrained(tmp_path / "saved")
    teacher.tokenizer.save_pretrained(tmp_path / "saved")
    assert not [file for file in (tmp_path / "saved").rglob("*") if file.suffix in (".bin", ".pt", ".pkl")]
    after = load_teacher(tmp_path / "saved", 32, torch.device("cpu"))
    np.testing.assert_allclose(after.logits(TEXTS, 1), before, atol=1e-5)


def test_frozen_layers_do_not_learn_and_make_no_noise(checkpoint):
    model = load(checkpoint).model
    frozen = model.base_model.encoder.layer[0]
    assert not any(parameter.requires_grad for parameter in [*frozen.parameters(), *model.bert.embeddings.parameters()])
    assert all(parameter.requires_grad for parameter in model.base_model.encoder.layer[1].parameters())
    assert all(part.p == 0 for part in frozen.modules() if isinstance(part, torch.nn.Dropout))


def frozen(teacher):
    layers = teacher.model.base_model.encoder.layer
    return [not any(weight.requires_grad for weight in layer.parameters()) for layer in layers]


def test_auto_freezes_two_thirds_of_the_layers_and_too_many_are_an_error(checkpoint, tmp_path):
    assert frozen(load(checkpoint, freeze_layers="auto")) == [True, False]
    assert sum(frozen(load(tiny_teacher(tmp_path / "deep", layers=12), freeze_layers="auto"))) == 4
    assert not any(frozen(load(tiny_teacher(tmp_path / "one", layers=1), freeze_layers="auto")))
    with pytest.raises(BadInput, match=r"freeze_layers is 4, but the teacher has 2 layers. Set it to auto or 0"):
        load(checkpoint, freeze_layers=4)


def test_auto_freezes_nothing_of_layers_that_share_their_weights(checkpoint, tmp_path):
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 6}
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    config = AlbertConfig(vocab_size=len(tokenizer), embedding_size=16, **sizes)
    AlbertForSequenceClassification(config).save_pretrained(tmp_path / "albert")
    tokenizer.save_pretrained(tmp_path / "albert")
    teacher = load(tmp_path / "albert", freeze_layers="auto")
    assert all(weight.requires_grad for weight in teacher.model.parameters())
