"""The transfer set: altered copies, unlabelled text, the teacher's answers to all of it, and who uses what."""

import random

import numpy as np
import pytest
import torch
from datasets import Dataset
from material import texts_and_labels, tiny_teacher
from project import ROOT

from stillhouse.cluster import Cluster
from stillhouse.data.cleaning import clean
from stillhouse.data.encoded import encode_texts, word_numbers
from stillhouse.data.sources import load_source
from stillhouse.data.splits import read_split, write_texts
from stillhouse.data.transfer import altered, write_transfer
from stillhouse.data.vocabulary import MASK, learn_vocabulary
from stillhouse.distillation.answers import read_soft_labels
from stillhouse.distillation.objective import Batch, distillation
from stillhouse.distillation.probe import head_and_inputs
from stillhouse.distillation.relations import relation_heads, word_states
from stillhouse.distillation.softlabels import ProbeInputs, write_soft_labels
from stillhouse.distillation.vectors import Vectors, no_vectors
from stillhouse.errors import BadInput
from stillhouse.models.pretrained import load_pretrained
from stillhouse.models.students.student import build_student
from stillhouse.params import Augment, Varying, Vocabulary, load_params

PARAMS = load_params(ROOT / "params.yaml")
TRAIN = Dataset.from_dict({"text": [text for text, _ in texts_and_labels(30)]})
PLAIN = {"folds": 2, "mask": 0.0, "drop": 0.0, "ngram": 0.0, "ngram_words": 8}
NOTHING = Dataset.from_dict({"text": []})


def alter(text, times=400, **changes):
    return list(altered([text] * times, Augment(**{**PLAIN, **changes}), random.Random(0)))


def test_each_way_of_altering_does_what_it_says():
    words = [f"w{index}" for index in range(40)]
    text = " ".join(words)
    assert alter(text, 3) == [text] * 3
    masked = [copy.split() for copy in alter(text, mask=0.25)]
    assert np.mean([copy.count(MASK) for copy in masked]) == pytest.approx(10, rel=0.1)
    assert all(len(copy) == 40 and all(a in (b, MASK) for a, b in zip(copy, words, strict=True)) for copy in masked)
    dropped = [copy.split() for copy in alter(text, drop=0.25)]
    assert np.mean([len(copy) for copy in dropped]) == pytest.approx(30, rel=0.1)
    assert all(copy == sorted(copy, key=words.index) for copy in dropped)
    runs = alter(text, ngram=1.0)
    assert {len(copy.split()) for copy in runs} == set(range(2, 9)) and all(copy in text for copy in runs)
    assert alter("one", drop=1.0, times=5) == ["one"] * 5  # never nothing


def test_the_transfer_set_is_seeded_and_a_fold_is_the_same_however_many_there_are(tmp_path):
    settings = Augment(folds=3, mask=0.2, drop=0.2, ngram=0.5, ngram_words=6)
    unlabelled = Dataset.from_dict({"text": ["more text", "and more"]})
    for name, seed, folds in (("a", 1, 3), ("b", 1, 3), ("c", 2, 3), ("d", 1, 1)):
        settings = settings.model_copy(update={"folds": folds})
        assert write_transfer(TRAIN, unlabelled, settings, seed, tmp_path / name) == 30 * folds + 2
    data = {name: (tmp_path / name).read_bytes() for name in "abcd"}
    assert data["a"] == data["b"] != data["c"]
    three, one = read_split(tmp_path / "a"), read_split(tmp_path / "d")
    assert three["text"][:30] == one["text"][:30] and three["text"][30:60] != one["text"][:30]
    assert three["fold"][-2:] == [-1, -1] and sorted(set(three["fold"])) == [-1, 0, 1, 2]


@pytest.fixture
def teacher(tmp_path):
    settings = PARAMS.teacher.model_copy(
        update={"model": str(tiny_teacher(tmp_path / "teacher")), "max_length": 16, "freeze_layers": 0}
    )
    return load_pretrained(settings, ["a", "b", "c"])


def test_the_teachers_answers_are_kept_in_the_texts_order(teacher, tmp_path):
    write_transfer(
        TRAIN, Dataset.from_dict({"text": ["rain [MASK] wind"]}), Augment(**PLAIN), 0, tmp_path / "extra.arrow"
    )
    extra = read_split(tmp_path / "extra.arrow")
    logits = write_soft_labels(teacher, [TRAIN, extra], 4, False, 5, tmp_path)
    answers = read_soft_labels(tmp_path)
    np.testing.assert_array_equal(answers.logits, logits)
    texts = [*TRAIN["text"], *extra["text"]]
    np.testing.assert_allclose(logits, teacher.logits(texts, 1), atol=1e-5)
    assert answers.features.shape == (91, 32) and answers.relations.shape == (91, 3, 5, 32)
    _, read = head_and_inputs(teacher, texts)
    np.testing.assert_allclose(answers.features, read, atol=2e-3)
    # The last text is three words, one of them the mask: the teacher reads its own mask token there.
    assert [bool(word.any()) for word in answers.relations[-1, 0]] == [True, True, True, False, False]
    assert list(answers.used(None)) == list(range(61)) and list(answers.used(1)) == [*range(30), 60]
    assert list(answers.used(0)) == [60]


def test_texts_that_the_probe_encoded_are_not_encoded_again(teacher, tmp_path, monkeypatch):
    unlabelled = Dataset.from_dict({"text": [f"wind {number}" for number in range(9)]})
    write_transfer(TRAIN, unlabelled, Augment(**{**PLAIN, "folds": 1}), 0, tmp_path / "extra.arrow")
    extra = read_split(tmp_path / "extra.arrow")
    (tmp_path / "whole").mkdir()
    whole = np.array(write_soft_labels(teacher, [TRAIN, extra], 4, False, 0, tmp_path / "whole"))
    rows = np.array([0, 3, 8])
    _, inputs = head_and_inputs(teacher, [*TRAIN["text"], *(unlabelled["text"][row] for row in rows)])
    Vectors(inputs, rows).save(tmp_path / "vectors")
    vectors = Vectors.load(tmp_path / "vectors")
    read = []
    tokens = teacher.tokens
    monkeypatch.setattr(teacher, "tokens", lambda texts, **options: read.extend(texts) or tokens(texts, **options))
    known = ProbeInputs(vectors.inputs, vectors.input_rows(30, 30, 9))
    logits = write_soft_labels(teacher, [TRAIN, extra], 4, False, 0, tmp_path, known)
    np.testing.assert_allclose(logits, whole, atol=1e-5)
    first, last = np.load(tmp_path / "features.npy"), np.load(tmp_path / "whole" / "features.npy")
    np.testing.assert_allclose(first, last, atol=2e-3)
    assert len(read) == 1 + 30 + 6  # one text tries the head; then the altered copies and the other unlabelled texts


def test_texts_that_the_probe_encoded_need_no_cluster(teacher, tmp_path):
    _, inputs = head_and_inputs(teacher, TRAIN["text"])
    known, nowhere = ProbeInputs(inputs, np.arange(30)), Cluster("127.0.0.1:1")
    logits = write_soft_labels(teacher, [TRAIN], 4, False, 0, tmp_path, known, cluster=nowhere)
    np.testing.assert_allclose(logits, teacher.logits(TRAIN["text"], 4), atol=1e-5)


def test_a_fine_tuned_teacher_left_no_vectors(tmp_path):
    no_vectors().save(tmp_path / "vectors")
    assert (Vectors.load(tmp_path / "vectors").input_rows(3, 2, 4) == -1).all()


def test_no_extra_texts_are_a_table_too(teacher, tmp_path):
    assert write_transfer(TRAIN, NOTHING, Augment(**{**PLAIN, "folds": 0}), 0, tmp_path / "extra.arrow") == 0
    write_soft_labels(teacher, [TRAIN, read_split(tmp_path / "extra.arrow")], 4, False, 0, tmp_path)
    answers = read_soft_labels(tmp_path)
    assert len(answers.logits) == 30 and answers.relations is None and len(answers.used(None)) == 0


def test_tokens_know_their_words(tmp_path):
    assert word_numbers("  ab cd,ef  g", [2, 3, 5, 7, 8, 12]).tolist() == [0, 0, 1, 1, 1, 2]
    assert word_numbers("", []).tolist() == []
    tokenizer = learn_vocabulary(TRAIN["text"], Vocabulary(pieces=120, min_frequency=1, lowercase=True))
    encoded = encode_texts([TRAIN, NOTHING, TRAIN], tokenizer, 32, tmp_path / "ids", words=True)
    assert len(encoded) == 60 and len(encoded.words) == len(encoded.ids)
    padded = encoded.padded_words(np.array([0, 31]))
    assert padded[0].max() == len(TRAIN["text"][0].split()) - 1
    assert ((padded == -1) == (encoded.padded(np.array([0, 31])) == 0)).all()


def test_words_are_the_mean_of_their_tokens():
    states = torch.arange(8.0).reshape(1, 1, 4, 2).repeat(1, 3, 1, 1)
    pooled, mask = word_states(states, torch.tensor([[0, 0, 2, -1]]), 4)
    assert pooled[0, 0].tolist() == [[1.0, 2.0], [0.0, 0.0], [4.0, 5.0], [0.0, 0.0]] and mask.tolist() == [[1, 0, 1, 0]]
    assert relation_heads(384, 384) == 12 and relation_heads(32, 48) == 8 and relation_heads(7, 5) == 1


def objective_of(losses, alpha, temperature=2.0, network=None):
    settings = PARAMS.student.model_copy(update={"losses": losses, "alpha": alpha, "temperature": temperature})
    return distillation(settings, settings.alpha, network, 8)


class Fixed(torch.nn.Module):
    """A student that answers these logits."""

    features = 8

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def pooled(self, ids):
        return torch.ones(len(ids), 8)

    def classify(self, pooled):
        return self.logits


def test_the_objective_mixes_losses_by_weight_and_labels_by_alpha():
    from stillhouse.distillation.losses.hinton import hinton
    from stillhouse.distillation.losses.mse import mse

    torch.manual_seed(0)
    student, teacher, labels = torch.randn(4, 3), torch.randn(4, 3), torch.tensor([0, 1, -1, -1])
    network, batch = Fixed(student), Batch(torch.ones(4, 2, dtype=torch.int64), labels, teacher)
    hard = torch.nn.functional.cross_entropy(student[:2], labels[:2], reduction="none")
    soft = hinton(student, teacher, labels, 2.0) + 0.5 * mse(student, teacher, labels, 2.0)
    expected = torch.cat([0.25 * soft[:2] + 0.75 * hard, soft[2:]]).mean()  # without a label: the teacher alone
    got = objective_of({"hinton": 1.0, "mse": 0.5}, 0.25, network=network)(network, batch, 0.0)
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(
        objective_of({"hinton": 1.0}, 1.0)(network, batch, 0.3), hinton(student, teacher, labels, 2.0).mean()
    )


@pytest.mark.parametrize(("shape", "middle"), [("linear", 0.25), ("cosine", 0.1464)])
def test_alpha_and_temperature_follow_their_schedules(shape, middle):
    from stillhouse.distillation.losses.hinton import hinton
    from stillhouse.distillation.schedules import value_at

    falling = Varying(start=1.0, end=0.0, shape=shape)
    assert [value_at(falling, progress) for progress in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.5, 0.0])
    assert 1 - value_at(falling, 0.25) == pytest.approx(middle, abs=1e-3)
    student, teacher, labels = torch.randn(4, 3), torch.randn(4, 3), torch.zeros(4, dtype=torch.int64)
    network, batch = Fixed(student), Batch(torch.ones(4, 2, dtype=torch.int64), labels, teacher)
    objective = objective_of({"hinton": 1.0}, falling, Varying(start=8.0, end=2.0, shape=shape))
    torch.testing.assert_close(objective(network, batch, 1.0), torch.nn.functional.cross_entropy(student, labels))
    torch.testing.assert_close(objective(network, batch, 0.0), hinton(student, teacher, labels, 8.0).mean())


@pytest.mark.parametrize(
    "losses", [{"features": 1.0}, {"minilm": 1.0}, {"hinton": 1.0, "features": 1.0, "minilm": 1.0}]
)
def test_states_are_matched_and_move_the_student(losses):
    settings = PARAMS.student.network.model_copy(
        update={"architecture": "transformer", "embedding": 16, "width": 24, "heads": 2, "depth": 1, "max_length": 16}
    )
    tokenizer = learn_vocabulary(TRAIN["text"], Vocabulary(pieces=120, min_frequency=1, lowercase=True))
    torch.manual_seed(0)
    network = build_student(tokenizer, ["a", "b", "c"], settings).network.eval()
    objective = objective_of(losses, 1.0, network=network)
    batch = Batch(
        torch.randint(3, 100, (4, 6)),
        torch.zeros(4, dtype=torch.int64),
        torch.randn(4, 3),
        torch.randn(4, 8),
        torch.randn(4, 3, 5, 12),
        torch.tensor([[0, 0, 1, 2, 3, 4]] * 4),
    )
    learner = torch.nn.ModuleList([network, objective])
    optimizer = torch.optim.Adam(learner.parameters(), lr=1e-2)
    values = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = objective(network, batch, 0.0)
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < 0.7 * values[0]


def folder_source(tmp_path, **changes):
    return PARAMS.data.model_copy(update={"source": "files", "path": str(tmp_path / "data"), **changes})


def test_unlabelled_text_joins_unless_it_stands_in_a_split(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train.csv").write_text("text,label\n" + "".join(f"train {i},{'ab'[i % 2]}\n" for i in range(20)))
    (folder / "test.csv").write_text("text,label\ntest one,a\ntest two,b\n")
    (folder / "raw.jsonl").write_text(
        '{"text": "new"}\n{"text": "Test  ONE"}\n{"text": "new"}\n{"text": " "}\n{"text": "newer"}\n'
    )
    data = folder_source(tmp_path, unlabelled="raw")
    source = load_source(data, tmp_path / "cache")
    cleaned = clean(source, data)
    assert cleaned.unlabelled.tolist() == [0, 4] and set(cleaned.splits) == {"train", "test"}
    write_texts([(source.unlabelled, cleaned.unlabelled)], tmp_path / "unlabelled.arrow")
    assert read_split(tmp_path / "unlabelled.arrow")["text"] == ["new", "newer"]
    write_texts([], tmp_path / "none.arrow")
    assert len(read_split(tmp_path / "none.arrow")) == 0
    with pytest.raises(BadInput, match=r"holds no spare\.\*"):
        load_source(folder_source(tmp_path, unlabelled="spare"), tmp_path / "cache")
    with pytest.raises(BadInput, match="Make data.path a folder that holds train.csv and raw.csv"):
        load_source(folder_source(tmp_path, path=str(folder / "train.csv"), unlabelled="raw"), tmp_path / "cache")
