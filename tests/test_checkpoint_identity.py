"""A checkpoint is used again only by the very training that wrote it: its identity is the content of all it reads."""

import logging
import shutil

import numpy as np
import pytest
import torch
from datasets import Dataset
from material import texts_and_labels, tiny_teacher
from project import ROOT

from stillhouse.data.splits import Split, read_split, write_split
from stillhouse.data.vocabulary import learn_vocabulary
from stillhouse.distillation import scratch
from stillhouse.distillation.scratch import clear_results, identity, scratch_folder, stored_result
from stillhouse.distillation.student import TrainingData, fit_student
from stillhouse.models.inherit import student_start
from stillhouse.models.pretrained import load_pretrained
from stillhouse.models.students.student import Start
from stillhouse.models.teacher import teacher_md5
from stillhouse.params import Vocabulary, load_params

PARAMS = load_params(ROOT / "params.yaml")
LABELS = ["cooking", "sport", "weather"]
SMALL = {"embedding": 16, "width": 16, "depth": 2, "max_length": 32}


class Log:
    """Stops a training after an epoch, as a kill would."""

    def __init__(self, stop_after=None):
        self.epochs, self.stop_after = [], stop_after

    def metrics(self, values, step=None):
        if step == self.stop_after:
            raise KeyboardInterrupt
        self.epochs.append(step)

    def series(self, name, values, first_step): ...


def params(**student):
    network = PARAMS.student.network
    wide = network.wide.model_copy(update={"embedding": 8, "buckets": 64, "max_length": 32})
    network = network.model_copy(update={**SMALL, "wide": wide})
    training = PARAMS.student.training.model_copy(update={"epochs": 3, "min_updates": 0, "batch_size": 16})
    changes = {"network": network, "training": training, **student}
    return PARAMS.model_copy(update={"student": PARAMS.student.model_copy(update=changes)})


def write_data(folder, rows=60):
    for name, seed in (("train", 1), ("validation", 2)):
        texts, labels = zip(*texts_and_labels(rows, seed), strict=True)
        numbers = np.array([LABELS.index(label) for label in labels])
        write_split(
            Split(Dataset.from_dict({"text": texts}), np.arange(rows), numbers), LABELS, folder / f"{name}.arrow"
        )


def vocabulary(folder, *more):
    texts = [*read_split(folder / "train.arrow")["text"], *more]
    return learn_vocabulary(texts, Vocabulary(pieces=300, min_frequency=1, lowercase=True))


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    return tmp_path


def fit(data, tokenizer, log, settings=None, **more):
    files = TrainingData(data / "train.arrow", data / "validation.arrow")
    return fit_student("control", settings or params(), files, tokenizer, device="cpu", log=log, **more).student


def test_an_interrupted_control_goes_on_but_not_on_other_word_pieces(data, caplog):
    caplog.set_level(logging.INFO)
    pieces = vocabulary(data)
    with pytest.raises(KeyboardInterrupt):
        fit(data, pieces, Log(stop_after=2))
    again = Log()
    fit(data, vocabulary(data), again)
    assert again.epochs == [2, 3] and "resuming after epoch 1" in caplog.text
    unread = Log()
    fit(data, pieces, unread, params(temperature=3.0))  # which a training on hard labels does not read
    assert unread.epochs == []
    shutil.rmtree(scratch.SCRATCH)
    with pytest.raises(KeyboardInterrupt):
        fit(data, pieces, Log(stop_after=2))
    # More text without labels: as many word pieces, but others.
    other = vocabulary(data, *["zymurgy quixotic zephyr"] * 50)
    assert other.get_vocab() != pieces.get_vocab()
    fresh = Log()
    student = fit(data, other, fresh)
    assert fresh.epochs == [1, 2, 3]
    shutil.rmtree(scratch.SCRATCH)
    expected = fit(data, other, Log()).network.state_dict()
    for name, weights in student.network.state_dict().items():
        assert torch.equal(weights, expected[name]), name


def test_a_student_starts_anew_from_another_teacher(data):
    pieces = vocabulary(data)
    epochs = []
    for digest in ("one", "one", "two"):
        log = Log()
        fit(data, pieces, log, start=Start(lambda network: None, digest))
        epochs.append(log.epochs)
    assert epochs == [[1, 2, 3], [], [1, 2, 3]]


def test_what_a_student_starts_from_is_named_by_its_content(tmp_path):
    folders, words = [tiny_teacher(tmp_path / name) for name in ("one", "two")], tmp_path / "words.npy"
    words.write_bytes(b"vectors")
    same = [student_start("teacher", folder, None, words).digest for folder in folders]
    assert same[0] == same[1]
    (folders[1] / "model.safetensors").write_bytes(
        tiny_teacher(tmp_path / "three", 1).joinpath("model.safetensors").read_bytes()
    )
    (folders[1] / "config.json").write_bytes((tmp_path / "three" / "config.json").read_bytes())
    assert student_start("teacher", folders[1], None, words).digest != same[0]
    words.write_bytes(b"others")
    assert student_start("teacher", folders[0], None, words).digest != same[0]
    assert student_start("random", folders[0], None, words) is None


def test_a_teacher_is_named_by_its_weights_and_not_by_its_path(tmp_path):
    def digest(folder, **changes):
        torch.manual_seed(0)
        settings = PARAMS.teacher.model_copy(
            update={"model": str(folder), "max_length": 32, "freeze_layers": 0, **changes}
        )
        return teacher_md5(load_pretrained(settings, LABELS))

    folder = tiny_teacher(tmp_path / "teacher")
    before = digest(folder)
    assert digest(folder) == before and digest(folder, max_length=16) != before
    shutil.rmtree(folder)
    tiny_teacher(folder, layers=1)  # trained again, under the same path
    assert digest(folder) != before


def test_a_stored_result_is_made_once_and_again_if_it_is_damaged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = []

    def make(folder):
        made.append(folder)
        if len(made) == 1:
            raise KeyboardInterrupt  # a kill
        (folder / "model").write_text("weights")

    with pytest.raises(KeyboardInterrupt):
        stored_result({"lr": 1}, make)
    first = stored_result({"lr": 1}, make)
    assert stored_result({"lr": 1}, make) == first and len(made) == 2
    (first / "model").write_text("weight5")
    assert (stored_result({"lr": 1}, make) / "model").read_text() == "weights" and len(made) == 3
    other = stored_result({"lr": 2}, make)
    clear_results(keep=[other])
    assert not first.exists() and other.exists()


def test_everything_that_decides_a_training_is_in_its_identity(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file, folder = tmp_path / "train.arrow", tmp_path / "answers"
    folder.mkdir()
    file.write_text("a"), (folder / "logits.npy").write_text("a")

    def place(settings=None, seed=1, device="cpu", **inputs):
        given = {"train": file, "answers": folder, "tokenizer": "{}", "start": None, **inputs}
        return scratch_folder("student", identity(settings or {"lr": 1}, seed, device, given)).name

    first = place()
    assert place() == first and (scratch.SCRATCH / first).exists()
    assert place(train=shutil.copy(file, tmp_path / "moved.arrow") and tmp_path / "moved.arrow") == first
    others = [place(settings={"lr": 2}), place(seed=2), place(device="cuda"), place(tokenizer="{1}"), place(start="x")]
    (folder / "logits.npy").write_text("b")
    others.append(place())
    (folder / "logits.npy").write_text("a")
    file.write_text("b")
    others.append(place())
    file.write_text("a")
    assert place() == first
    monkeypatch.setattr(scratch, "code_md5", lambda: "another commit")
    others.append(place())
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(scratch, "version", lambda name: "0.0")
    others.append(place())
    assert len({first, *others}) == 10
    assert [one.name for one in scratch.SCRATCH.iterdir()] == [others[-1]]  # those of other identities are gone


def test_checkpoints_of_finished_students_stay_and_others_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(scratch, "SCRATCH", tmp_path)
    for name in ("student-nano-1", "teacher-2", "soft_labels-second0-3", "control-4"):
        (tmp_path / name).mkdir()
    for stage in ("student", "teacher", "soft_labels"):
        scratch.mark_finished(stage)
    scratch.clear_finished(keep="soft_labels")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["control-4", "soft_labels-second0-3", "student-nano-1"]
