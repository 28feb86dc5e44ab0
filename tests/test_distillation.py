"""Losses, the training loop and the student's network."""

import math

import numpy as np
import pytest
import torch
from conftest import ROOT, texts_and_labels
from datasets import Dataset

from stillhouse.data.encoded import batches, encode_split
from stillhouse.data.vocabulary import learn_vocabulary
from stillhouse.distillation import trainer
from stillhouse.distillation.checkpoints import last_trainer_checkpoint, scratch_folder
from stillhouse.distillation.losses import LOSSES
from stillhouse.distillation.losses.hinton import hinton
from stillhouse.distillation.objective import Objective
from stillhouse.distillation.trainer import Examples, train_student
from stillhouse.errors import TrainingDiverged
from stillhouse.models.student import build_student, load_student, predict_logits, save_student
from stillhouse.params import Vocabulary, load_params

PARAMS = load_params(ROOT / "params.yaml")
SMALL = PARAMS.student.network.model_copy(update={"embedding": 16, "width": 16, "depth": 2, "max_length": 32})
TRAINING = PARAMS.student.training.model_copy(update={"epochs": 4, "batch_size": 16, "learning_rate": 0.01})
LABELS = ["sport", "cooking", "weather"]


def test_hinton_is_what_one_gets_by_hand():
    # Teacher softened at T = 2: (e^1, e^0) / (e + 1); student: (1/2, 1/2).
    p = math.e / (math.e + 1)
    expected = 4 * (p * math.log(p / 0.5) + (1 - p) * math.log((1 - p) / 0.5))
    got = hinton(torch.zeros(3, 2), torch.tensor([[2.0, 0.0]]).repeat(3, 1), 2.0)
    assert got.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_losses_are_zero_at_the_teacher_positive_elsewhere_and_finite_at_extremes(name, temperature):
    torch.manual_seed(0)
    teacher = torch.randn(8, 5)
    loss = LOSSES[name]
    assert loss(teacher, teacher, temperature).item() == pytest.approx(0, abs=1e-5)
    assert loss(teacher + 3.0, teacher, temperature).item() == pytest.approx(0, abs=1e-4)
    assert loss(torch.randn(8, 5), teacher, temperature).item() > 0
    extreme = torch.tensor([[1e4, -1e4, 0.0, 1.0, 2.0]], requires_grad=True)
    loss(extreme, -extreme.detach(), temperature).backward()
    assert torch.isfinite(extreme.grad).all()


def test_alpha_mixes_soft_and_hard_targets():
    torch.manual_seed(0)
    student, teacher, labels = torch.randn(4, 3), torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    hard = torch.nn.functional.cross_entropy(student, labels)
    assert Objective(alpha=0.0)(student, labels, teacher) == hard
    soft = hinton(student, teacher, 3.0)
    assert Objective(1.0, 3.0)(student, labels, teacher).item() == pytest.approx(soft.item())
    assert Objective(0.25, 3.0)(student, labels, teacher).item() == pytest.approx((0.25 * soft + 0.75 * hard).item())


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    rows = texts_and_labels(120)
    dataset = Dataset.from_dict({"text": [text for text, _ in rows]})
    tokenizer = learn_vocabulary(dataset["text"], Vocabulary(size=300, min_frequency=1, lowercase=True))
    encoded = encode_split(dataset, tokenizer, 32, tmp_path_factory.mktemp("ids") / "ids")
    labels = np.array([LABELS.index(label) for _, label in rows])
    logits = np.eye(3, dtype=np.float32)[labels] * 4
    return tokenizer, Examples(encoded, labels, logits)


def fit(examples, scratch, training=TRAINING, objective=None, log=None):
    tokenizer, data = examples
    torch.manual_seed(0)
    student = build_student(tokenizer, LABELS, SMALL)
    history = train_student(
        student.network,
        data,
        data,
        objective or Objective(0.9, 4.0),
        training,
        device=torch.device("cpu"),
        seed=0,
        scratch=scratch,
        log=log or (lambda values, step: None),
    )
    return student, history


def test_a_student_learns_from_soft_targets_and_is_saved_and_loaded_whole(examples, tmp_path):
    student, history = fit(examples, tmp_path, TRAINING.model_copy(update={"epochs": 10}))
    assert history[-1]["validation_accuracy"] > 0.9
    assert [row["epoch"] for row in history] == list(range(1, 11))
    save_student(student, tmp_path / "model")
    loaded = load_student(tmp_path / "model")
    before, after = (predict_logits(s.network, examples[1].encoded, torch.device("cpu")) for s in (student, loaded))
    np.testing.assert_array_equal(before, after)
    assert loaded.label_names == LABELS


def test_training_goes_on_from_its_last_checkpoint_to_the_very_same_weights(examples, tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "broken").mkdir()
    whole, history = fit(examples, tmp_path / "whole")

    def stop_at_two(values, step):
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(examples, tmp_path / "broken", log=stop_at_two)
    resumed, again = fit(examples, tmp_path / "broken")
    assert again == history
    for one, other in zip(whole.network.parameters(), resumed.network.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_nan_stops_training_with_the_step_and_keeps_the_checkpoint(examples, tmp_path, monkeypatch):
    calls = {"count": 0}
    plain = Objective(0.9, 4.0)

    def poisoned(student, labels, teacher):
        calls["count"] += 1
        return plain(student, labels, teacher) * (float("nan") if calls["count"] == 11 else 1.0)

    with pytest.raises(TrainingDiverged, match="step 3 of epoch 2: loss nan"):
        fit(examples, tmp_path, objective=poisoned)  # 8 steps an epoch
    assert trainer.load_checkpoint(tmp_path / "last.pt")["history"][-1]["epoch"] == 1


def test_answers_do_not_depend_on_padding_or_neighbours(examples):
    tokenizer, data = examples
    torch.manual_seed(1)
    network = build_student(tokenizer, LABELS, SMALL).network
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -1, 1)
    network.eval()
    text = torch.from_numpy(data.encoded.padded(np.array([0])))
    longer = torch.nn.functional.pad(text, (0, 13))
    torch.testing.assert_close(network(text), network(longer), rtol=1e-4, atol=1e-5)
    empty = torch.zeros(1, 1, dtype=torch.int64)
    assert torch.isfinite(network(empty)).all()


def test_a_residual_block_starts_as_the_identity(examples):
    network = build_student(examples[0], LABELS, SMALL).network.eval()
    x, mask = torch.rand(2, 16, 9), torch.ones(2, 1, 9)
    torch.testing.assert_close(network.blocks[0](x, mask), x)


def test_batches_hold_every_row_once_and_texts_of_like_length():
    lengths = np.random.default_rng(0).integers(1, 200, 1000)
    for seed in (None, 0):
        made = list(batches(lengths, 16, seed))
        assert sorted(np.concatenate(made)) == list(range(1000))
        padding = 1 - lengths.sum() / sum(len(rows) * lengths[rows].max() for rows in made)
        assert padding < 0.1
    assert all((a == b).all() for a, b in zip(batches(lengths, 16, 3), batches(lengths, 16, 3), strict=True))


def test_checkpoints_of_another_run_are_not_gone_on_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = scratch_folder("student", {"lr": 1}, "digest")
    assert scratch_folder("student", {"lr": 1}, "digest") == first
    assert scratch_folder("student", {"lr": 2}, "digest") != first
    assert not first.exists()


def test_a_half_written_checkpoint_is_passed_over(tmp_path):
    for step, state in ((10, '{"global_step": 10}'), (20, '{"global_'), (30, None)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if state:
            (folder / "trainer_state.json").write_text(state)
    assert last_trainer_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
