"""Checkpoints that a teacher can start from, and what is saved of it."""

import json

import numpy as np
import pytest
import torch
from material import tiny_teacher
from project import ROOT
from transformers import AutoModel

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


def test_more_frozen_layers_than_there_are_is_an_error_with_the_limit(checkpoint):
    with pytest.raises(BadInput, match=r"freeze_layers is 4, but the teacher has 2 layers. Set it to 2 or less"):
        load(checkpoint, freeze_layers=4)
