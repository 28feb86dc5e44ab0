"""Sentence encoders: every pooling, every form of its configuration, and what stands before and after it."""

import json
from typing import get_args

import numpy as np
import pytest
import torch
from material import tiny_teacher
from project import ROOT
from safetensors.torch import save_file
from transformers import AutoModel, AutoTokenizer

from stillhouse.errors import BadInput
from stillhouse.models.encoder import EncoderClassifier
from stillhouse.models.pooling import POOLINGS, Pooling, PoolingConfig
from stillhouse.models.pretrained import load_pretrained
from stillhouse.models.sentence import SWITCHES
from stillhouse.models.teacher import load_teacher
from stillhouse.params import load_params
from stillhouse.params.teacher import Teacher as Settings

SETTINGS = load_params(ROOT / "params.yaml").teacher.model_copy(update={"max_length": 32, "freeze_layers": 0})
TEXTS = ["the goal of the match", "butter and flour", "rain", "the team in the storm " * 9]


def by_hand(name, states):
    """Each pooling of one text's states, (length, size), as its definition says."""
    weights = torch.arange(1.0, len(states) + 1).unsqueeze(1)
    return {
        "cls": states[0],
        "max": states.max(0).values,
        "mean": states.mean(0),
        "mean_sqrt_len_tokens": states.sum(0) / len(states) ** 0.5,
        "weightedmean": (states * weights).sum(0) / weights.sum(),
        "lasttoken": states[-1],
    }[name]


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("side", ["right", "left"])
def test_a_pooling_is_what_its_definition_says_on_either_side_of_padding(name, side):
    torch.manual_seed(0)
    texts = [torch.randn(length, 4) for length in (5, 1, 3)]
    states, mask = torch.full((3, 5, 4), 9.0), torch.zeros(3, 5, dtype=torch.int64)
    for row, text in enumerate(texts):
        place = slice(len(text)) if side == "right" else slice(5 - len(text), 5)
        states[row, place], mask[row, place] = text, 1
    expected = torch.stack([by_hand(name, text) for text in texts])
    torch.testing.assert_close(Pooling(PoolingConfig((name,)), 4)(states, mask), expected)


def test_a_prompt_may_be_left_out_of_the_vector_and_places_are_still_counted_from_it():
    states, mask = torch.randn(1, 5, 4), torch.tensor([[1, 1, 1, 1, 0]])
    left_out = Pooling(PoolingConfig(("mean", "weightedmean"), prompt_tokens=2), 4)(states, mask)[0]
    torch.testing.assert_close(left_out[:4], states[0, 2:4].mean(0))
    torch.testing.assert_close(left_out[4:], (3 * states[0, 2] + 4 * states[0, 3]) / 7)
    nothing_else = Pooling(PoolingConfig(("mean",), prompt_tokens=4), 4)(states, mask)[0]
    torch.testing.assert_close(nothing_else, states[0, :4].mean(0))


def test_a_saved_default_replaces_the_settings_of_an_earlier_teacher(tmp_path):
    other = PoolingConfig(("cls",), prompt="a ", prompt_tokens=2)
    other.save(tmp_path)
    assert PoolingConfig.load(tmp_path) == other
    for default in (PoolingConfig(), PoolingConfig(poolings=())):
        other.save(tmp_path)
        default.save(tmp_path)
        assert PoolingConfig.load(tmp_path) == PoolingConfig()


def test_the_text_that_names_checkpoints_and_the_keys_on_disk_are_those_of_earlier_versions(tmp_path):
    config = PoolingConfig(("cls",), prompt="a ", prompt_tokens=2)
    assert str(config) == "Reading(poolings=('cls',), layers=(), prompt='a ', skipped=2)"
    config.save(tmp_path)
    keys = list(json.loads((tmp_path / "reading.json").read_text()))
    assert keys == ["poolings", "layers", "prompt", "skipped"]


def test_the_parameter_allows_every_pooling():
    assert set(get_args(Settings.model_fields["pooling"].annotation)) == {"auto", "head", *POOLINGS}
    assert set(SWITCHES.values()) == set(POOLINGS)


@pytest.fixture
def encoder(tmp_path):
    """A checkpoint without a head, as sentence-transformers writes one but for its notes."""
    folder = tiny_teacher(tmp_path / "checkpoint")
    AutoModel.from_pretrained(folder).save_pretrained(folder)
    return folder


def write(folder, name, content):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(content))


def modules(folder, *kinds, package="sentence_transformers.models"):
    write(
        folder,
        "modules.json",
        [{"idx": n, "name": str(n), "path": path, "type": f"{package}.{kind}"} for n, (kind, path) in enumerate(kinds)],
    )


def load(folder, **changes):
    return load_pretrained(SETTINGS.model_copy(update={"model": str(folder), **changes}), ["a", "b", "c"])


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, ("mean",)),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, ("cls",)),
        ({"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": True}, ("max", "mean")),
        ({"pooling_mode_lasttoken": True}, ("lasttoken",)),
        ({"word_embedding_dimension": 32}, ("mean",)),
        ({"pooling_mode": "mean"}, ("mean",)),
        ({"pooling_mode": "cls", "include_prompt": True}, ("cls",)),
        ({"pooling_mode": ["weightedmean", "mean_sqrt_len_tokens"]}, ("weightedmean", "mean_sqrt_len_tokens")),
        ({"pooling_mode": "cls+max"}, ("cls", "max")),
    ],
)
def test_every_form_of_a_pooling_configuration_is_read(encoder, config, expected):
    write(encoder, "1_Pooling/config.json", config)
    assert load(encoder).model.pooling.config.poolings == expected


def test_a_pooling_that_does_not_exist_is_named(encoder):
    write(encoder, "1_Pooling/config.json", {"pooling_mode": "median"})
    with pytest.raises(BadInput, match=r"the pooling 'median', .*Set teacher.pooling to one of cls, max, mean"):
        load(encoder)


def test_modules_may_lie_in_other_folders_and_the_new_names_of_classes_are_known(encoder):
    package = "sentence_transformers.sentence_transformer.modules.pooling"
    modules(encoder, ("Transformer", ""), ("Pooling", "pool"), ("Normalize", "2_Normalize"), package=package)
    write(encoder, "pool/config.json", {"pooling_mode": "cls"})
    assert load(encoder).model.pooling.config == PoolingConfig(("cls",))
    inner = encoder / "0_Transformer"
    inner.mkdir()
    for file in [file for file in encoder.iterdir() if file.is_file() and file.name != "modules.json"]:
        file.rename(inner / file.name)
    modules(encoder, ("Transformer", "0_Transformer"), ("Pooling", "pool"))
    assert load(encoder).model.pooling.config == PoolingConfig(("cls",))


@pytest.mark.parametrize("pooling", ["cls", "max", "lasttoken"])
def test_a_set_pooling_is_used_and_a_saved_teacher_remembers_it(encoder, pooling, tmp_path):
    teacher = load(encoder, pooling=pooling)
    states = teacher.model.encoder(**teacher.tokenizer(TEXTS[0], return_tensors="pt")).last_hidden_state[0]
    expected = teacher.model.classifier(by_hand(pooling, states)).detach().numpy()
    before = teacher.logits(TEXTS, 4)
    np.testing.assert_allclose(before[0], expected, atol=1e-5)
    (tmp_path / "saved").mkdir()
    teacher.save(tmp_path / "saved")
    after = load_teacher(tmp_path / "saved", 32, torch.device("cpu"))
    np.testing.assert_allclose(after.logits(TEXTS, 1), before, atol=1e-5)


def test_dense_layers_and_prompts_are_part_of_the_teacher_and_are_saved_with_it(encoder, tmp_path):
    modules(encoder, ("Transformer", ""), ("Pooling", "1_Pooling"), ("Dense", "2_Dense"), ("Normalize", "3"))
    write(encoder, "1_Pooling/config.json", {"pooling_mode": "mean", "include_prompt": False})
    activation = "torch.nn.modules.activation.Tanh"
    write(encoder, "2_Dense/config.json", {"in_features": 32, "out_features": 7, "activation_function": activation})
    weight, bias = torch.randn(7, 32), torch.randn(7)
    save_file({"linear.weight": weight, "linear.bias": bias}, encoder / "2_Dense" / "model.safetensors")
    prompts = {"query": "the day ", "Classification": "people of time "}
    write(encoder, "config_sentence_transformers.json", {"prompts": prompts, "default_prompt_name": "query"})
    teacher = load(encoder)
    assert teacher.prompt == "people of time "
    tokens = teacher.tokenizer("people of time rain", return_tensors="pt")
    states = teacher.model.encoder(**tokens).last_hidden_state[0]
    pooled = torch.tanh(weight @ states[4:].mean(0) + bias)  # without [CLS] and the three words of the prompt
    before = teacher.logits(TEXTS, 4)
    np.testing.assert_allclose(before[2], teacher.model.classifier(pooled).detach(), atol=1e-5)
    (tmp_path / "saved").mkdir()
    teacher.save(tmp_path / "saved")
    after = load_teacher(tmp_path / "saved", 32, torch.device("cpu"))
    np.testing.assert_allclose(after.logits(TEXTS, 1), before, atol=1e-5)
    assert load(encoder, prompt=None).prompt == "" and load(encoder, prompt="a day ").prompt == "a day "


def test_a_dense_layer_that_cannot_be_used_is_left_out_and_named(encoder, caplog):
    modules(encoder, ("Transformer", ""), ("Pooling", "1_Pooling"), ("Dense", "2_Dense"))
    write(encoder, "1_Pooling/config.json", {"pooling_mode": "mean"})
    write(encoder, "2_Dense/config.json", {"in_features": 32, "out_features": 7})
    (encoder / "2_Dense" / "pytorch_model.bin").write_bytes(b"")
    assert load(encoder).model.pooling.config == PoolingConfig()
    assert "its module 2_Dense (Dense) is left out" in caplog.text


def test_a_classifier_with_a_prompt_of_the_users_remembers_it(tmp_path):
    folder = tiny_teacher(tmp_path / "checkpoint")
    teacher = load(folder, prompt="the storm ")
    assert not isinstance(teacher.model, EncoderClassifier)
    (tmp_path / "saved").mkdir()
    teacher.save(tmp_path / "saved")
    after = load_teacher(tmp_path / "saved", 32, torch.device("cpu"))
    np.testing.assert_allclose(after.logits(TEXTS, 1), teacher.logits(TEXTS, 4), atol=1e-5)
    plain = load_teacher(tmp_path / "saved", 32, torch.device("cpu"))
    plain.prompt = ""
    prompted = plain.logits([f"the storm {text}" for text in TEXTS], 1)
    np.testing.assert_allclose(prompted, after.logits(TEXTS, 1), atol=1e-5)


def test_left_padding_of_a_decoder_changes_no_answer(tmp_path):
    from transformers import GPT2Config, GPT2Model

    folder = tiny_teacher(tmp_path / "checkpoint")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(0)
    GPT2Model(GPT2Config(vocab_size=len(tokenizer), n_positions=64, n_embd=32, n_layer=2, n_head=2)).save_pretrained(
        folder
    )
    tokenizer.padding_side = "left"
    tokenizer.save_pretrained(folder)
    write(folder, "1_Pooling/config.json", {"pooling_mode": "lasttoken"})
    teacher = load(folder)
    np.testing.assert_allclose(teacher.logits(TEXTS, 4), teacher.logits(TEXTS, 1), atol=1e-5)
