"""All four students: padding changes nothing, the initialisation is the one that was set, weights come from the teacher."""

import json

import numpy as np
import onnxruntime
import pytest
import torch
from material import tiny_teacher
from project import ROOT

from stillhouse.compression.export import export_onnx
from stillhouse.compression.quantisations import QUANTISATIONS
from stillhouse.data.vocabulary import learn_vocabulary
from stillhouse.errors import BadInput
from stillhouse.models.inherit import inherit, input_vectors, output_vectors, principal_components
from stillhouse.models.pretrained import load_pretrained
from stillhouse.models.students.architectures import ARCHITECTURES
from stillhouse.models.students.pooling import POOLINGS
from stillhouse.models.students.student import build_student, load_student, save_student
from stillhouse.params import Network, Vocabulary, load_params

PARAMS = load_params(ROOT / "params.yaml")
TEXTS = [
    "the goal of the match",
    "butter and flour",
    "rain",
    "the team in the storm " * 4,
    "snow and frost and fog",
] * 3
TOKENIZER = learn_vocabulary(TEXTS, Vocabulary(pieces=200, min_frequency=1, lowercase=True))
LABELS = ["a", "b", "c"]


def network_settings(architecture, **changes):
    small = {"embedding": 16, "width": 32, "depth": 2, "max_length": 32, "heads": 2, "architecture": architecture}
    return Network.model_validate({**PARAMS.student.network.model_dump(), **small, **changes})


def student_of(architecture, seed=1, **changes):
    torch.manual_seed(seed)
    return build_student(TOKENIZER, LABELS, network_settings(architecture, **changes))


def token_ids(texts):
    TOKENIZER.no_truncation()
    rows = [TOKENIZER.encode(text, add_special_tokens=False).ids for text in texts]
    batch = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int64)
    for index, row in enumerate(rows):
        batch[index, : len(row)] = torch.tensor(row)
    return batch


def stirred(student):
    """Norms with weights and statistics as after some training."""
    for module in student.network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -1, 1)
    return student.network.eval()


@pytest.mark.parametrize(("pooling", "bag"), [*((name, False) for name in POOLINGS), ("mean_max", True)])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_answers_do_not_depend_on_padding_or_neighbours(architecture, pooling, bag):
    network = stirred(student_of(architecture, pooling=pooling, bag=bag))
    ids = token_ids(TEXTS[:5])
    together = network(ids)
    for row, answer in zip(ids, together, strict=True):
        alone = row[row != 0].unsqueeze(0)
        torch.testing.assert_close(network(alone)[0], answer, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(network(torch.nn.functional.pad(alone, (0, 3)))[0], answer, rtol=1e-4, atol=1e-5)
    assert torch.isfinite(network(torch.zeros(2, 1, dtype=torch.int64))).all()  # a text without words
    assert together.shape == (5, 3) and network.pooled(ids).shape == (5, network.features)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_student_is_saved_loaded_and_exported_whole(architecture, tmp_path):
    student = student_of(architecture)
    network = stirred(student)
    save_student(student, tmp_path / "model")
    ids = token_ids(TEXTS[:5])
    expected = network(ids).detach()
    torch.testing.assert_close(load_student(tmp_path / "model").network(ids), expected)
    export_onnx(student, tmp_path / "plain.onnx")
    for kind in QUANTISATIONS:
        QUANTISATIONS[kind](tmp_path / "plain.onnx", tmp_path / f"{kind}.onnx", [ids.numpy()], network)
    for name, tolerance in (
        ("plain", 1e-4),
        ("int8", 0.05),
        ("int8_dynamic", 0.8),
        ("int8_static", 0.8),
        ("fp16", 0.05),
    ):
        session = onnxruntime.InferenceSession(str(tmp_path / f"{name}.onnx"))
        for batch in (ids, ids[1:2, :3], torch.zeros(1, 1, dtype=torch.int64)):
            got = session.run(None, {"ids": batch.numpy()})[0]
            np.testing.assert_allclose(got, network(batch).detach().numpy(), atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("name", ["kaiming", "xavier", "orthogonal"])
def test_weights_start_as_their_name_says(name):
    network = student_of("resnet", initialisation=name, width=64, embedding=64).network
    weight = network.blocks[0].conv1.weight.detach()
    fan_in, fan_out = 64 * 3, 64 * 3
    if name == "kaiming":
        assert weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=0.05)
    elif name == "xavier":
        assert weight.abs().max().item() <= (6 / (fan_in + fan_out)) ** 0.5
    else:
        flat = weight.flatten(1)
        torch.testing.assert_close(flat @ flat.T, torch.eye(64), rtol=0, atol=1e-4)


def test_a_residual_block_starts_as_the_identity_and_an_lstm_remembers():
    network = student_of("resnet").network.eval()
    x, mask = torch.rand(2, 32, 9), torch.ones(2, 1, 9)
    torch.testing.assert_close(network.blocks[0](x, mask), x)
    lstm = student_of("bilstm").network.onward[0]
    gates = lstm.bias_ih_l0.detach().chunk(4)
    assert [gate.unique().item() for gate in gates] == [0, 1, 0, 0]
    recurrent = lstm.weight_hh_l0.detach()[:32]
    torch.testing.assert_close(recurrent @ recurrent.T, torch.eye(32), rtol=0, atol=1e-4)


def test_word_dropout_hides_words_in_training_only():
    network = student_of("resnet", word_dropout=0.5).network
    ids = token_ids(TEXTS[:4])
    torch.manual_seed(0)
    network.train()
    vectors, mask = network.embed(network.drop_words(ids))
    unknown = network.embedding.weight[1]
    hidden = (vectors == unknown).all(2) & (ids != 1)
    assert 0.2 < hidden[ids != 0].float().mean() < 0.8 and not hidden[ids == 0].any()
    assert (mask == (ids != 0)).all()
    assert network.eval().drop_words(ids).equal(ids)


@pytest.fixture
def teacher(tmp_path):
    settings = PARAMS.teacher.model_copy(
        update={"model": str(tiny_teacher(tmp_path / "teacher", layers=4)), "max_length": 32, "freeze_layers": 0}
    )
    return load_pretrained(settings, LABELS)


WORDS = ["goal", "butter", "rain", "storm"]


def test_input_vectors_are_the_teachers_and_reduced_by_principal_components(teacher):
    pieces = [TOKENIZER.id_to_token(index) for index in range(TOKENIZER.get_vocab_size())]
    rows = input_vectors(teacher, pieces)
    table = teacher.model.get_input_embeddings().weight.detach()
    for word in WORDS:
        theirs = table[teacher.tokenizer.convert_tokens_to_ids(word)]
        torch.testing.assert_close(rows[TOKENIZER.token_to_id(word)], theirs)
    few = principal_components(rows, 8)
    assert few.vectors.shape == (len(pieces), 8) and (few.vectors.var(0).diff() <= 1e-6).all()  # the widest first
    full = principal_components(rows, 32)
    torch.testing.assert_close(full.vectors @ full.basis + full.mean, rows, rtol=1e-3, atol=1e-4)
    wider = principal_components(rows, 64)
    assert wider.vectors.shape[1] == 64 and not wider.vectors[:, 32:].any()


def test_output_vectors_are_what_the_teacher_makes_of_a_word(teacher):
    rows = output_vectors(teacher, WORDS)
    for word, row in zip(WORDS, rows, strict=True):
        states = teacher.model.bert(**teacher.tokenizer(word, return_tensors="pt")).last_hidden_state[0]
        torch.testing.assert_close(row, states.mean(0).detach(), rtol=1e-4, atol=1e-5)
    network = student_of("resnet").network
    inherit(network, teacher, TOKENIZER)
    assert network.embedding.weight.std().item() == pytest.approx(0.1, rel=0.05)
    assert not network.embedding.weight[0].any()


def test_a_transformer_that_takes_over_all_layers_answers_as_the_teacher_does(teacher):
    network = student_of("transformer", depth=4, embedding=32, pooling="mean").network.eval()
    inherit(network, teacher, TOKENIZER)
    words = ["goal", "butter", "rain", "storm", "the", "and"]  # whole words in both vocabularies
    ids = torch.tensor([[TOKENIZER.token_to_id(word) for word in words]])
    inputs = torch.tensor([teacher.tokenizer.convert_tokens_to_ids(words)])
    theirs = teacher.model.eval().base_model(input_ids=inputs).last_hidden_state
    vectors, mask = network.embed(ids)
    torch.testing.assert_close(network.encode(vectors, mask)[0], theirs, rtol=1e-3, atol=1e-3)
    half = student_of("transformer", depth=2).network
    inherit(half, teacher, TOKENIZER)
    for layer, index in zip(half.layers, (0, 1), strict=True):
        theirs = teacher.model.base_model.encoder.layer[index].attention.self.query.weight
        torch.testing.assert_close(layer.query.weight, theirs)


def test_a_transformer_of_another_shape_or_kind_of_teacher_is_refused(teacher):
    for changes, message in (({"width": 64}, "width: 32, heads: 2"), ({"depth": 5}, "depth: at most 4")):
        with pytest.raises(BadInput, match=message):
            inherit(student_of("transformer", **changes).network, teacher, TOKENIZER)
    del teacher.model.bert.encoder.layer
    with pytest.raises(BadInput, match="takes over layers of BERT"):
        inherit(student_of("transformer").network, teacher, TOKENIZER)


def test_a_saved_student_names_its_architecture(tmp_path):
    save_student(student_of("vgg"), tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["network"]["architecture"] == "vgg"
