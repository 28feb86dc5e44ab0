"""The training loop, and the checkpoints and batches it works with."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from material import texts_and_labels
from project import ROOT
from safetensors.torch import save_file

from stillhouse.data.encoded import batches, encode_texts
from stillhouse.data.vocabulary import learn_vocabulary
from stillhouse.distillation import trainer
from stillhouse.distillation.check import Check, selected_epoch
from stillhouse.distillation.checkpoints import last_trainer_checkpoint, load_checkpoint, save_checkpoint
from stillhouse.distillation.examples import Examples
from stillhouse.distillation.objective import HardLabels, distillation
from stillhouse.distillation.trainer import train_student
from stillhouse.errors import TrainingDiverged
from stillhouse.models.students.student import build_student, load_student, predict_logits, save_student
from stillhouse.params import Varying, Vocabulary, load_params

PARAMS = load_params(ROOT / "params.yaml")
NETWORK = {"embedding": 16, "width": 16, "depth": 2, "max_length": 32}
SMALL = PARAMS.student.network.model_copy(update=NETWORK)
TRAINING = PARAMS.student.training.model_copy(
    update={"epochs": 4, "min_updates": 0, "batch_size": 16, "learning_rate": 0.01}
)
LABELS = ["sport", "cooking", "weather"]


class Notes:
    """Keeps what a training logs; ``stop_after`` an epoch it interrupts."""

    def __init__(self, stop_after=None):
        self.epochs, self.steps, self.stop_after = [], [], stop_after

    def metrics(self, values, step=None):
        if step == self.stop_after:
            raise KeyboardInterrupt
        self.epochs.append(step)

    def series(self, name, values, first_step):
        self.steps += list(enumerate(values, first_step))


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    rows = texts_and_labels(120)
    dataset = Dataset.from_dict({"text": [text for text, _ in rows]})
    tokenizer = learn_vocabulary(dataset["text"], Vocabulary(pieces=300, min_frequency=1, lowercase=True))
    encoded = encode_texts([dataset], tokenizer, 32, tmp_path_factory.mktemp("ids") / "ids")
    labels = np.array([LABELS.index(label) for _, label in rows])
    logits = np.eye(3, dtype=np.float32)[labels] * 4
    features = np.random.default_rng(0).normal(size=(120, 8)).astype(np.float16)
    return tokenizer, Examples(encoded, labels, logits, features, None, np.arange(120))


def fit(examples, scratch, training=TRAINING, log=None, wrap=None, **changes):
    tokenizer, data = examples
    settings = PARAMS.student.model_copy(
        update={"network": SMALL, "losses": {"hinton": 1.0}, "alpha": 0.9, "temperature": 2.0, **changes}
    )
    torch.manual_seed(0)
    student = build_student(tokenizer, LABELS, settings.network)
    objective = distillation(settings, settings.alpha, student.network, 8)
    history = train_student(
        student.network,
        data,
        Check("validation_accuracy", data),
        wrap(objective) if wrap else objective,
        training,
        device=torch.device("cpu"),
        seed=0,
        scratch=scratch,
        log=log or Notes(),
    )
    return student, history


def fit_hard(student, data, check, epochs, scratch):
    """The history of a training on hard labels alone."""
    training = TRAINING.model_copy(update={"epochs": epochs})
    cpu = torch.device("cpu")
    return train_student(
        student.network, data, check, HardLabels(), training, device=cpu, seed=0, scratch=scratch, log=Notes()
    )


def check_of(texts, kind="validation_accuracy"):
    return Check(kind, Examples(None, np.zeros(texts, int)))


def test_the_last_epoch_within_a_standard_error_of_the_best_is_selected():
    rows = [
        {"epoch": number, "validation_accuracy": accuracy, "heldout_agreement": accuracy}
        for number, accuracy in enumerate([0.9, 0.96, 0.95, 0.93])
    ]
    assert selected_epoch(rows, check_of(100))["epoch"] == 2  # 0.96 has a standard error of 0.0196 on 100 texts,
    assert selected_epoch(rows, check_of(10_000))["epoch"] == 1  # and of 0.002 on 10,000
    assert selected_epoch(rows[:1], check_of(100))["epoch"] == 0


def test_too_few_labelled_texts_select_no_epoch():
    rows = [{"epoch": 0, "validation_accuracy": 1.0, "heldout_agreement": 1.0}]
    rows.append({"epoch": 1, "validation_accuracy": 0.5, "heldout_agreement": 0.5})
    for check in (None, check_of(99), check_of(200, "heldout_agreement")):
        assert selected_epoch(rows, check)["epoch"] == 1
    assert selected_epoch(rows, check_of(100))["epoch"] == 0


def test_held_out_texts_measure_the_agreement_and_none_measure_nothing(examples, tmp_path):
    tokenizer, data = examples
    student = build_student(tokenizer, LABELS, SMALL)
    measured = Check("heldout_agreement", data).measure(student.network, torch.device("cpu"))
    assert set(measured) == {"heldout_loss", "heldout_agreement"}
    history = fit_hard(student, data, None, 2, tmp_path)
    assert [set(row) for row in history] == [{"epoch", "loss", "grad_norm"}] * 2


def test_a_student_learns_from_soft_targets_and_is_saved_and_loaded_whole(examples, tmp_path):
    student, history = fit(examples, tmp_path, TRAINING.model_copy(update={"epochs": 10}))
    assert history[-1]["validation_accuracy"] > 0.9
    assert [row["epoch"] for row in history] == list(range(1, 11))
    save_student(student, tmp_path / "model")
    loaded = load_student(tmp_path / "model")
    before, after = (predict_logits(s.network, examples[1].encoded, torch.device("cpu")) for s in (student, loaded))
    np.testing.assert_array_equal(before, after)
    assert loaded.label_names == LABELS


@pytest.mark.parametrize(
    "changes",
    [{}, {"losses": {"hinton": 1.0, "features": 0.5}, "alpha": Varying(start=1, end=0.2, shape="linear")}],
)
@pytest.mark.parametrize("average", [0.0, 0.9])
def test_training_goes_on_from_its_last_checkpoint_to_the_very_same_weights(examples, tmp_path, changes, average):
    (tmp_path / "whole").mkdir()
    (tmp_path / "broken").mkdir()
    training = TRAINING.model_copy(update={"average": average})
    whole, history = fit(examples, tmp_path / "whole", training, **changes)
    with pytest.raises(KeyboardInterrupt):
        fit(examples, tmp_path / "broken", training, log=Notes(stop_after=3), **changes)
    resumed, again = fit(examples, tmp_path / "broken", training, **changes)
    assert again == history
    for one, other in zip(whole.network.parameters(), resumed.network.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_gradient_norms_are_logged_for_every_step(examples, tmp_path):
    notes = Notes()
    fit(examples, tmp_path, log=notes)
    assert notes.epochs == [1, 2, 3, 4] and [step for step, _ in notes.steps] == list(range(4 * 8))
    assert all(norm > 0 for _, norm in notes.steps)


def test_averaged_weights_are_what_is_kept(examples, tmp_path):
    plain, _ = fit(examples, tmp_path / "a" if (tmp_path / "a").mkdir() is None else tmp_path)
    (tmp_path / "b").mkdir()
    averaged, history = fit(examples, tmp_path / "b", TRAINING.model_copy(update={"average": 0.9}))
    assert history[-1]["validation_accuracy"] > 0.8
    assert not torch.equal(plain.network.head.weight, averaged.network.head.weight)


class Poisoned(torch.nn.Module):
    """An objective whose loss is multiplied once, at a step counted from 1."""

    def __init__(self, inner, step, factor):
        super().__init__()
        self.inner, self.needs, self.count, self.step, self.factor = inner, inner.needs, 0, step, factor

    def forward(self, network, batch, progress):
        self.count += 1
        return self.inner(network, batch, progress) * (self.factor if self.count >= self.step else 1.0)


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_a_nan_stops_training_with_the_step_and_keeps_the_checkpoint(examples, tmp_path, factor):
    message = f"at step 11, in epoch 2: loss {factor:g}.*checkpoint of epoch 1 is stored.*learning_rate"
    with pytest.raises(TrainingDiverged, match=message):
        fit(examples, tmp_path, wrap=lambda inner: Poisoned(inner, 11, factor))  # 8 steps an epoch
    assert trainer.load_checkpoint(tmp_path / "last.pt")["history"][-1]["epoch"] == 1


class Recorded(torch.nn.Module):
    """An objective whose values are kept."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.needs, self.values = inner, inner.needs, []

    def forward(self, network, batch, progress):
        loss = self.inner(network, batch, progress)
        self.values.append(loss.item())
        return loss


GOLDEN = [3.47066, 2.79602, 3.33134, 2.18151, 1.84575, 1.5094, 1.7749, 1.45841, 1.69944, 1.62812]
GOLDEN += [1.29111, 1.30996, 1.94376, 1.90767, 1.4625, 1.19974, 1.41141, 1.17933, 0.82698, 1.10575]


def test_the_first_steps_are_those_that_they_always_were(examples, tmp_path):
    recorded = []
    fit(examples, tmp_path, wrap=lambda inner: recorded.append(Recorded(inner)) or recorded[0])
    wrong = [
        f"step {step}: loss {now:.5f}, was {was:.5f}"
        for step, (now, was) in enumerate(zip(recorded[0].values, GOLDEN, strict=False), 1)
        if abs(now - was) > 5e-3 * max(1.0, was)
    ]
    assert not wrong, f"training changed from {wrong[0]}; if it was meant to, put the new numbers into GOLDEN"


def test_an_exploding_loss_stops_training(examples, tmp_path):
    with pytest.raises(TrainingDiverged, match="from a loss of .* in epoch 2: .*checkpoint of epoch 1 is stored"):
        fit(examples, tmp_path, wrap=lambda inner: Poisoned(inner, 9, 1e6))
    with pytest.raises(TrainingDiverged, match="Lower student.training.learning_rate"):
        (tmp_path / "absurd").mkdir()
        fit(examples, tmp_path / "absurd", TRAINING.model_copy(update={"learning_rate": 1e9, "epochs": 20}))


def test_the_control_learns_from_hard_labels_alone(examples, tmp_path):
    tokenizer, data = examples
    torch.manual_seed(0)
    student = build_student(tokenizer, LABELS, SMALL)
    bare = Examples(data.encoded, data.labels)
    history = fit_hard(student, bare, Check("validation_accuracy", bare), 8, tmp_path)
    assert history[-1]["validation_accuracy"] > 0.9


def test_batches_hold_every_row_once_and_texts_of_like_length():
    lengths = np.random.default_rng(0).integers(1, 200, 1000)
    for seed in (None, 0):
        made = list(batches(lengths, 16, seed))
        assert sorted(np.concatenate(made)) == list(range(1000))
        padding = 1 - lengths.sum() / sum(len(rows) * lengths[rows].max() for rows in made)
        assert padding < 0.1
    assert all((a == b).all() for a, b in zip(batches(lengths, 16, 3), batches(lengths, 16, 3), strict=True))


def test_a_half_written_checkpoint_is_passed_over(tmp_path):
    for step, state in ((10, '{"global_step": 10}'), (20, '{"global_'), (30, None)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if state:
            (folder / "trainer_state.json").write_text(state)
    assert last_trainer_checkpoint(tmp_path) == tmp_path / "checkpoint-10"


@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_a_damaged_checkpoint_is_set_aside_by_name_and_counts_as_none(tmp_path, caplog, damage):
    file = tmp_path / "last.pt"
    save_checkpoint({"weights": torch.arange(4000.0), "epoch": 3}, file)
    assert load_checkpoint(file)["epoch"] == 3
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content if damage == "flip" else content[:5000])
    assert load_checkpoint(file) is None
    assert not file.exists() and (tmp_path / "last.pt.damaged").exists()
    assert "last.pt is damaged" in caplog.text


def test_a_damaged_checkpoint_of_the_teacher_is_passed_over(tmp_path):
    for step in (1, 2):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        torch.save({"lr": torch.ones(1000)}, folder / "optimizer.pt")
        save_file({"weight": torch.ones(1000)}, folder / "model.safetensors")
        (folder / "trainer_state.json").write_text("{}")
    weights = tmp_path / "checkpoint-2" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    assert last_trainer_checkpoint(tmp_path) == tmp_path / "checkpoint-1"
