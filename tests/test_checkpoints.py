"""Checkpoints of many families: tokenizers, positions, problem types, outputs and heads."""

import json
import random

import numpy as np
import pytest
import torch
import transformers
from datasets import ClassLabel, Dataset, Features, Value
from material import FILLER, WORDS, texts_and_labels, tiny_teacher
from project import ROOT
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from stillhouse.distillation.finetune import finetune
from stillhouse.distillation.hints import Hints
from stillhouse.distillation.softlabels import write_soft_labels
from stillhouse.errors import BadInput
from stillhouse.models.encoder import EncoderClassifier
from stillhouse.models.pretrained import load_pretrained
from stillhouse.models.teacher import load_teacher
from stillhouse.params import load_params

SETTINGS = load_params(ROOT / "params.yaml").teacher.model_copy(update={"max_length": 32, "freeze_layers": 0})
NAMES = ["cooking", "sport", "weather"]
TEXTS = [text for text, _ in texts_and_labels(8)]
T5 = {"d_model": 32, "d_ff": 32, "num_layers": 2, "num_heads": 2, "d_kv": 16, "vocab_size": 260}
T5 |= {"decoder_start_token_id": 0, "eos_token_id": 2}
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}


def load(folder, names=NAMES, **changes):
    return load_pretrained(SETTINGS.model_copy(update={"model": str(folder), **changes}), names)


def change(folder, **values):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))


def one_epoch(teacher, scratch):
    class Log:
        def metrics(self, values, step=None): ...

    features = Features({"text": Value("string"), "label": ClassLabel(names=NAMES)})
    rows = texts_and_labels(24)
    data = Dataset.from_dict({"text": [t for t, _ in rows], "label": [label for _, label in rows]}, features)
    settings = SETTINGS.model_copy(update={"epochs": 1, "batch_size": 8})
    cpu = torch.device("cpu")
    return finetune(teacher, data, data, settings, Hints("none"), device=cpu, seed=0, scratch=scratch, log=Log())


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    """A SentencePiece model of 70 pieces."""
    import sentencepiece

    chance, folder = random.Random(0), tmp_path_factory.mktemp("pieces")
    words = [*FILLER, *(word for words in WORDS.values() for word in words)]
    (folder / "texts").write_text("\n".join(" ".join(chance.choices(words, k=12)) for _ in range(400)))
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "texts"), model_prefix=str(folder / "spm"), vocab_size=70, minloglevel=2
    )
    return folder / "spm.model"


@pytest.mark.parametrize(
    ("family", "file", "config"),
    [
        ("DebertaV2", "spm.model", {**SMALL, "type_vocab_size": 0, "vocab_size": 160}),
        ("Camembert", "sentencepiece.bpe.model", {**SMALL, "vocab_size": 160, "pad_token_id": 1}),
        ("XLMRoberta", "sentencepiece.bpe.model", {**SMALL, "vocab_size": 160, "pad_token_id": 1}),
        ("T5", "spiece.model", T5),
    ],
)
def test_a_tokenizer_may_be_a_sentencepiece_file_alone(family, file, config, pieces, tmp_path):
    config = getattr(transformers, f"{family}Config")(**config)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path)
    (tmp_path / file).write_bytes(pieces.read_bytes())
    teacher = load(tmp_path)
    ids = teacher.tokens(["the goal of the match"])["input_ids"][0]
    unknown = teacher.tokenizer.unk_token_id
    assert 5 <= len(ids) <= 12 and unknown not in ids
    before = teacher.logits(TEXTS, 4)
    (tmp_path / "saved").mkdir()
    teacher.save(tmp_path / "saved")
    after = load_teacher(tmp_path / "saved", 32, torch.device("cpu"))
    np.testing.assert_allclose(after.logits(TEXTS, 1), before, atol=1e-5)


FAMILIES = {
    "DistilBert": {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "max_position_embeddings": 40},
    "Roberta": {**SMALL, "max_position_embeddings": 40, "pad_token_id": 0},
    "Camembert": {**SMALL, "max_position_embeddings": 40, "pad_token_id": 1},
    "MPNet": {**SMALL, "max_position_embeddings": 40, "pad_token_id": 1},
    "Electra": {**SMALL, "embedding_size": 32, "max_position_embeddings": 40},
    "ModernBert": {**SMALL, "max_position_embeddings": 40, "pad_token_id": 0, "global_attn_every_n_layers": 2},
    "XLNet": {"d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 64},
    "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 40},
    "OPT": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "ffn_dim": 64, "word_embed_proj_dim": 32,
            "max_position_embeddings": 40},
    "Bart": {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2,
             "decoder_attention_heads": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 40,
             "eos_token_id": 3, "pad_token_id": 0, "bos_token_id": 2},
}  # fmt: skip
# RoBERTa and its kin number positions from their padding id + 1, of which "Roberta" has 0 here.
READS = {"Roberta": 39, "Camembert": 38, "MPNet": 38, "XLNet": None}


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    made = {}

    def make(name):
        if name not in made:
            made[name] = folder = tiny_teacher(tmp_path_factory.mktemp(name))
            vocabulary = len(AutoTokenizer.from_pretrained(folder))
            torch.manual_seed(0)
            config = getattr(transformers, f"{name}Config")(**({"vocab_size": vocabulary} | FAMILIES[name]))
            AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
        return made[name]

    return make


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_answers_alone_as_in_a_batch_and_gives_its_states(name, family, tmp_path):
    teacher = load(family(name))
    np.testing.assert_allclose(teacher.logits(TEXTS, 8), teacher.logits(TEXTS, 1), atol=1e-4)
    write_soft_labels(teacher, [Dataset.from_dict({"text": TEXTS})], 4, False, 0, tmp_path)
    assert np.abs(np.load(tmp_path / "features.npy")).sum() > 0


@pytest.mark.parametrize("name", FAMILIES)
def test_the_longest_text_is_read_and_one_token_more_refused_before_training(name, family):
    limit = READS.get(name, 40)
    teacher = load(family(name), max_length=limit or 100)
    text = "rain " * 200
    assert len(teacher.tokens([text])["input_ids"][0]) == (limit or 100)
    assert np.isfinite(teacher.logits([text], 1)).all()
    if limit:
        with pytest.raises(BadInput, match=f"teacher.max_length is {limit + 1}, but .* reads at most {limit} tokens"):
            load(family(name), max_length=limit + 1)


@pytest.mark.parametrize("name", ["Bart", "DistilBert"])
def test_models_with_further_outputs_are_fine_tuned(name, family, tmp_path):
    assert 0 <= one_epoch(load(family(name)), tmp_path)[-1]["validation_accuracy"] <= 1


@pytest.mark.parametrize(
    "values",
    [
        {"problem_type": "multi_label_classification"},
        {"problem_type": "regression"},
        {"problem_type": "regression", "num_labels": 1, "id2label": {"0": "score"}, "label2id": {"score": 0}},
        {"return_dict": False},
        {"output_hidden_states": True, "output_attentions": True},
    ],
)
@pytest.mark.parametrize("pooling", ["head", "mean"])
def test_what_the_checkpoint_was_for_does_not_matter(values, pooling, tmp_path):
    folder = tiny_teacher(tmp_path / "checkpoint")
    change(folder, **values)
    teacher = load(folder, pooling=pooling)
    assert one_epoch(teacher, tmp_path / "scratch")[-1]["validation_loss"] > 0


def test_a_head_is_kept_by_class_names_and_made_anew_for_other_classes(tmp_path):
    folder = tiny_teacher(tmp_path / "checkpoint")
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3, ignore_mismatched_sizes=True)
    names = {0: "Weather", 1: "cooking", 2: "sport"}
    model.config.id2label = names
    model.config.label2id = {name: number for number, name in names.items()}
    model.save_pretrained(folder)
    same = load(folder).model.classifier.weight
    torch.testing.assert_close(same, model.classifier.weight[[1, 2, 0]])
    other = load(folder, ["ham", "spam", "eggs"]).model.classifier
    assert not torch.isin(other.weight, model.classifier.weight).any() and not other.bias.any()


def test_token_types_are_given_to_models_that_take_them_alone(tmp_path, family):
    assert "token_type_ids" in load(tiny_teacher(tmp_path)).tokens(["rain"])
    assert "token_type_ids" not in load(family("DistilBert")).tokens(["rain"])
    assert "token_type_ids" not in load(family("DistilBert"), pooling="mean").tokens(["rain"])


def test_a_tokenizer_without_padding_and_one_with_more_tokens_than_vectors(tmp_path):
    folder = tiny_teacher(tmp_path / "checkpoint")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    size = len(tokenizer)
    tokenizer.add_tokens(["storms"])
    tokenizer.save_pretrained(folder)
    teacher = load(folder)
    assert teacher.tokens(["storms"])["input_ids"][0][1] == size and np.isfinite(teacher.logits(["storms"], 1)).all()
    tokens = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**tokens, "pad_token": None}))
    assert load(folder).tokenizer.pad_token is not None
    small = tiny_teacher(tmp_path / "small")
    config = transformers.BertConfig(vocab_size=size - 5, num_labels=3, max_position_embeddings=64, **SMALL)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(small)
    with pytest.raises(BadInput, match=f"its tokenizer has {size} tokens, its model vectors for {size - 5}"):
        load(small)


def test_weights_of_another_model_are_refused(tmp_path, family):
    folder = tiny_teacher(tmp_path / "checkpoint")
    change(folder, hidden_size=48, intermediate_size=64)
    with pytest.raises(BadInput, match="have other sizes than its config.json says"):
        load(folder)
    other = tiny_teacher(tmp_path / "other")
    (other / "model.safetensors").write_bytes((family("GPT2") / "model.safetensors").read_bytes())
    with pytest.raises(BadInput, match="lacks .* weights of a bert"):
        load(other)


def test_a_sentence_t5_is_its_encoder_alone(pieces, tmp_path):
    transformers.T5EncoderModel(transformers.T5Config(**T5)).save_pretrained(tmp_path)
    (tmp_path / "spiece.model").write_bytes(pieces.read_bytes())
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": "mean"}))
    teacher = load(tmp_path)
    assert isinstance(teacher.model, EncoderClassifier)
    (tmp_path / "saved").mkdir()
    teacher.save(tmp_path / "saved")
    after = load_teacher(tmp_path / "saved", 32, torch.device("cpu"))
    np.testing.assert_allclose(after.logits(TEXTS, 1), teacher.logits(TEXTS, 4), atol=1e-5)
