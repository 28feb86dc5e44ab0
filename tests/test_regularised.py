"""Model distillation: a simple model regularises the teacher, also under accumulation and after a crash."""

import math

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Value
from material import texts_and_labels, tiny_teacher
from project import ROOT

from stillhouse.data.encoded import encode_texts
from stillhouse.data.vocabulary import learn_vocabulary
from stillhouse.distillation.finetune import finetune
from stillhouse.distillation.hints import Hints, read_hints, write_hints
from stillhouse.distillation.regularised import MutualTeacher, ReversedTeacher, parameter_groups
from stillhouse.models.pretrained import load_pretrained
from stillhouse.models.students.student import build_student
from stillhouse.params import Mutual, Reversed, Vocabulary, load_params

PARAMS = load_params(ROOT / "params.yaml")
LABELS = ["cooking", "sport", "weather"]
ROWS = texts_and_labels(48)
FEATURES = Features({"text": Value("string"), "label": ClassLabel(names=LABELS)})
TEXTS = Dataset.from_dict(
    {"text": [text for text, _ in ROWS], "label": [LABELS.index(label) for _, label in ROWS]}, features=FEATURES
)
TOKENIZER = learn_vocabulary(TEXTS["text"], Vocabulary(pieces=300, min_frequency=1, lowercase=True))
NETWORK = PARAMS.student.network.model_copy(update={"embedding": 16, "width": 16, "depth": 1, "max_length": 32})


class Silent:
    def metrics(self, values, step=None):
        pass

    def series(self, name, values, first_step):
        pass


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny_teacher(tmp_path_factory.mktemp("teacher"))


def settings_for(checkpoint, **changes):
    small = {
        "model": str(checkpoint),
        "max_length": 32,
        "freeze_layers": 0,
        "epochs": 2,
        "batch_size": 8,
        "learning_rate": 1e-3,
        "reversed": Reversed(ratio=0.5, temperature=2.0),
        "mutual": Mutual(ratio=0.5, temperature=2.0, learning_rate=1e-2),
    }
    return PARAMS.teacher.model_copy(update={**small, **changes})


def hints_for(kind):
    if kind == "reversed":
        return Hints(kind, logits=np.random.default_rng(0).normal(size=(48, 3)).astype(np.float32))
    return Hints(kind, network=NETWORK, tokenizer=TOKENIZER) if kind == "mutual" else Hints("none")


def train(settings, scratch, log=None):
    scratch.mkdir(exist_ok=True)
    torch.manual_seed(0)
    teacher = load_pretrained(settings, LABELS)
    history = finetune(
        teacher,
        TEXTS,
        TEXTS,
        settings,
        hints_for(settings.regularise),
        device=torch.device("cpu"),
        seed=0,
        scratch=scratch,
        log=log or Silent(),
    )
    return teacher, history


def weights(teacher):
    return torch.cat([parameter.detach().flatten() for parameter in teacher.model.parameters()])


class Fixed(torch.nn.Module):
    """A teacher that answers these logits whatever it reads."""

    def __init__(self, logits):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.tensor(logits))

    def forward(self, **_):
        return self


def test_the_reversed_loss_by_hand():
    learner = ReversedTeacher(Fixed([[0.0, 0.0]]), Reversed(ratio=0.25, temperature=2.0))
    ids = torch.zeros(1, 1, dtype=torch.int64)
    hint = torch.tensor([[2.0, 0.0]])
    p = math.e / (math.e + 1)
    soft = 4 * (p * math.log(p / 0.5) + (1 - p) * math.log((1 - p) / 0.5))
    output = learner(ids, ids, labels=torch.tensor([0]), hint=hint)
    assert output.loss.item() == pytest.approx(0.75 * math.log(2) + 0.25 * soft, rel=1e-5)
    # On validation there are no hints, and the loss is the plain one.
    assert learner(ids, ids, labels=torch.tensor([0])).loss.item() == pytest.approx(math.log(2))


def test_in_mutual_learning_neither_moves_the_other(tmp_path):
    texts = encode_texts([TEXTS], TOKENIZER, 32, tmp_path / "ids")
    torch.manual_seed(0)
    peer = build_student(TOKENIZER, LABELS, NETWORK).network
    ids, rows = torch.zeros(4, 1, dtype=torch.int64), torch.arange(4)
    labels = torch.tensor(TEXTS["label"][:4])
    teacher = Fixed([[1.0, 0.0, -1.0]] * 4)

    def gradients(ratio):
        learner = MutualTeacher(teacher, peer, texts, Mutual(ratio=ratio, temperature=1.0, learning_rate=1e-2))
        learner.zero_grad()
        torch.manual_seed(1)
        learner(ids, ids, labels=labels, row=rows).loss.backward()
        return teacher.logits.grad.clone(), peer.head.weight.grad.clone()

    alone, together = gradients(0.0), gradients(1.0)
    # Each alone: the gradient of its own cross entropy. With ratio 1: of the distance to the other alone.
    expected = (teacher.logits.softmax(1) - torch.nn.functional.one_hot(labels, 3)) / 4
    torch.testing.assert_close(alone[0], expected.detach())
    torch.manual_seed(1)
    answers = peer(torch.from_numpy(texts.padded(np.arange(4)))).softmax(1)
    torch.testing.assert_close(together[0], ((teacher.logits.softmax(1) - answers) / 4).detach())
    assert not torch.allclose(alone[1], together[1])


def test_the_peer_has_a_learning_rate_of_its_own():
    learner = torch.nn.ModuleDict({"teacher": torch.nn.Linear(2, 2), "peer": torch.nn.Linear(2, 2)})
    groups = parameter_groups(learner, 1e-4, 0.01, 1e-2)
    rates = {(group["lr"], group["weight_decay"]): len(group["params"]) for group in groups}
    assert rates == {(1e-4, 0.01): 1, (1e-4, 0.0): 1, (1e-2, 0.01): 1, (1e-2, 0.0): 1}


@pytest.mark.parametrize("kind", ["none", "reversed", "mutual"])
def test_a_teacher_learns_and_is_regularised(checkpoint, tmp_path, kind):
    plain, _ = train(settings_for(checkpoint), tmp_path / "plain")
    teacher, history = train(settings_for(checkpoint, regularise=kind), tmp_path / "regularised")
    assert len(history) == 2 and history[-1]["validation_loss"] < 1.2
    assert torch.equal(weights(teacher), weights(plain)) == (kind == "none")


@pytest.mark.parametrize("kind", ["none", "reversed"])
def test_accumulated_gradients_are_those_of_the_large_batch(checkpoint, tmp_path, kind):
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    import json

    folder = tmp_path / "still"
    folder.mkdir()
    for file in checkpoint.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | still))
    norms = {}
    for name, size, accumulation in (("large", 48, 1), ("small", 12, 4)):
        seen = []

        class Norms(Silent):
            def metrics(self, values, step=None, seen=seen):
                seen.append(values)

        changes = {"batch_size": size, "gradient_accumulation": accumulation, "epochs": 10, "regularise": kind}
        _, _ = train(settings_for(folder, **changes), tmp_path / name, Norms())
        norms[name] = next(values["grad_norm"] for values in seen if "grad_norm" in values)
    assert norms["small"] == pytest.approx(norms["large"], rel=0.02)


@pytest.mark.parametrize("kind", ["reversed", "mutual"])
def test_a_stopped_training_goes_on_to_the_very_same_teacher(checkpoint, tmp_path, kind):
    settings = settings_for(checkpoint, regularise=kind, epochs=3)
    whole, history = train(settings, tmp_path / "whole")

    class Stops(Silent):
        def metrics(self, values, step=None):
            if step and step > 6 and "loss" in values:  # 6 steps an epoch, a checkpoint after each
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "broken", Stops())
    assert list((tmp_path / "broken").glob("checkpoint-*"))
    resumed, again = train(settings, tmp_path / "broken")
    assert [row["validation_loss"] for row in again] == [row["validation_loss"] for row in history]
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["none", "reversed", "mutual"])
def test_hints_say_what_the_teacher_needs_and_nothing_else(tmp_path, kind):
    torch.manual_seed(0)
    student = build_student(TOKENIZER, LABELS, NETWORK)
    write_hints(kind, student, TEXTS, tmp_path / "hints")
    hints = read_hints(tmp_path / "hints")
    assert hints.kind == kind
    assert (hints.logits is not None) == (kind == "reversed") and (hints.network == NETWORK) == (kind == "mutual")
    if kind == "reversed":
        assert hints.logits.shape == (48, 3)
    files = {file.name for file in (tmp_path / "hints").iterdir()}
    assert files == {"none": {"hints.json"}, "reversed": {"hints.json", "logits.npy"}}.get(
        kind, {"hints.json", "tokenizer.json"}
    )
