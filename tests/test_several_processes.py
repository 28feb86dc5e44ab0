"""Several processes that train together: the same result as one process, and an orderly end when one of them dies."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import replace

import numpy as np
import psutil
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Value
from material import texts_and_labels, tiny_teacher
from project import ROOT
from transformers import AutoTokenizer, T5Config, T5EncoderModel

from stillhouse.data.encoded import encode_texts
from stillhouse.data.vocabulary import learn_vocabulary
from stillhouse.distillation import trainer
from stillhouse.distillation.check import Check
from stillhouse.distillation.examples import Examples
from stillhouse.distillation.finetune import finetune
from stillhouse.distillation.hints import Hints
from stillhouse.distillation.objective import HardLabels, distillation
from stillhouse.distillation.parallel.student import train_on_ranks
from stillhouse.distillation.softlabels import write_soft_labels
from stillhouse.distillation.teaching import train_teacher
from stillhouse.distillation.trainer import train_student
from stillhouse.errors import BadInput, StillhouseError, TrainingDiverged
from stillhouse.models.pretrained import load_pretrained
from stillhouse.models.students.student import build_student
from stillhouse.models.teacher import load_teacher
from stillhouse.params import OneTeacher, Vocabulary, load_params

PARAMS = load_params(ROOT / "params.yaml")
LABELS = ["cooking", "sport", "weather"]
CPU = torch.device("cpu")
NO_DROPOUT = {"dropout": 0.0, "word_dropout": 0.0}
WIDE = PARAMS.student.network.wide.model_copy(update={"embedding": 8, "buckets": 64, "max_length": 32, "dropout": 0.0})
NETWORK = PARAMS.student.network.model_copy(
    update={"embedding": 16, "width": 16, "depth": 2, "max_length": 32, "wide": WIDE, **NO_DROPOUT}
)
# 73 texts: the last batch of an epoch has one row, which is not divided.
TRAINING = PARAMS.student.training.model_copy(
    update={"epochs": 3, "min_updates": 0, "batch_size": 9, "learning_rate": 0.01, "average": 0.9}
)
LOSSES = {"hinton": 1.0, "dist": 0.5, "features": 0.5}


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # of the processes that are started


class Notes:
    """Records what a training logs, and calls ``at`` after an epoch."""

    def __init__(self, at=None):
        self.rows, self.norms, self.at = [], [], at or {}

    def metrics(self, values, step=None):
        self.rows.append((step, values))
        self.at.get(step, lambda: None)()

    def series(self, name, values, first_step):
        self.norms += values


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    rows = texts_and_labels(73)
    dataset = Dataset.from_dict({"text": [text + " rain" * (index % 7) for index, (text, _) in enumerate(rows)]})
    tokenizer = learn_vocabulary(dataset["text"], Vocabulary(pieces=300, min_frequency=1, lowercase=True))
    encoded = encode_texts([dataset], tokenizer, 32, tmp_path_factory.mktemp("ids") / "ids")
    labels = np.array([LABELS.index(label) for _, label in rows])
    logits = np.eye(3, dtype=np.float32)[labels] * 4
    features = np.random.default_rng(0).normal(size=(73, 8)).astype(np.float16)
    labels = np.where(np.arange(73) % 5 == 4, -1, labels)
    return tokenizer, Examples(encoded, labels, logits, features, None, np.arange(73))


def fit(examples, scratch, processes, training=TRAINING, network=NETWORK, log=None, hard=False, machines=1):
    tokenizer, data = examples
    if hard:  # the mean over a batch without a label is NaN
        data = replace(data, labels=np.abs(data.labels))
    settings = PARAMS.student.model_copy(
        update={"network": network, "losses": LOSSES, "alpha": 0.7, "temperature": 2.0, "training": training}
    )
    torch.manual_seed(0)
    student = build_student(tokenizer, LABELS, settings.network)
    objective = HardLabels() if hard else distillation(settings, settings.alpha, student.network, 8)
    scratch.mkdir(exist_ok=True)
    check = Check("heldout_agreement", Examples(data.encoded, np.abs(data.labels)))
    options = {"device": CPU, "seed": 0, "scratch": scratch, "log": log or Notes()}
    if processes * machines == 1:
        history = train_student(student.network, data, check, objective, training, **options)
    else:
        history = train_on_ranks(student, data, check, objective, training, processes=processes, **options)
    return student.network.state_dict(), history


def assert_equal(one, other, tolerance=0.0):
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(
            value, other[name], rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize(("architecture", "hard"), [("resnet", False), ("bag", True)])
def test_two_processes_train_the_student_of_one(examples, tmp_path, architecture, hard):
    network, alone, together = NETWORK.model_copy(update={"architecture": architecture}), Notes(), Notes()
    weights, history = fit(examples, tmp_path / "1", 1, network=network, log=alone, hard=hard)
    weights_2, history_2 = fit(examples, tmp_path / "2", 2, network=network, log=together, hard=hard)
    for row, other in zip(history, history_2, strict=True):
        assert row == pytest.approx(other, rel=1e-3)
    assert alone.norms == pytest.approx(together.norms, rel=2e-3)
    assert [step for step, _ in together.rows] == [1, 2, 3]
    assert_equal(weights, weights_2, 2e-3)


def ranks():
    """The processes of the ranks, by number."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        if "stillhouse.distillation.parallel.rank" in process.cmdline() and "guard.py" not in " ".join(
            process.cmdline()
        ):
            found[int(process.environ()["RANK"])] = process
    return found


def test_a_killed_process_ends_the_others_and_the_next_run_gives_the_same_result(examples, tmp_path):
    # With dropout, so that the random numbers must be the same, too.
    network = NETWORK.model_copy(update={"architecture": "bag", "dropout": 0.2})
    options = {"training": TRAINING.model_copy(update={"epochs": 20}), "network": network, "hard": True}
    whole, history = fit(examples, tmp_path / "whole", 2, **options)
    seen = []

    def kill():
        seen.extend(ranks().values())
        os.kill(ranks()[1].pid, signal.SIGKILL)

    with pytest.raises(StillhouseError, match=r"Process 2 \(flow.processes\) was killed.*last checkpoint"):
        fit(examples, tmp_path / "killed", 2, log=Notes({1: kill}), **options)
    assert len(seen) == 2 and not psutil.wait_procs(seen, 5)[1]
    written = len(trainer.load_checkpoint(tmp_path / "killed" / "last.pt")["history"])
    assert 1 <= written < 20
    shutil.copytree(tmp_path / "killed", tmp_path / "alone")
    notes = Notes()
    resumed, again = fit(examples, tmp_path / "killed", 2, log=notes, **options)
    assert again == history and [step for step, _ in notes.rows] == list(range(written + 1, 21))
    assert_equal(resumed, whole)
    notes = Notes()
    _, again = fit(examples, tmp_path / "alone", 1, log=notes, **options)
    assert again[:written] == history[:written] and [step for step, _ in notes.rows] == list(range(written + 1, 21))
    assert again[-1]["loss"] == pytest.approx(history[-1]["loss"], rel=0.5)


def test_a_training_resumes_with_another_number_of_processes(examples, tmp_path):
    training = TRAINING.model_copy(update={"epochs": 4})
    whole, history = fit(examples, tmp_path / "whole", 1, training)

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(examples, tmp_path / "broken", 1, training, log=Notes({3: stop}))
    notes = Notes()
    resumed, again = fit(examples, tmp_path / "broken", 2, training, log=notes)
    assert [step for step, _ in notes.rows] == [3, 4]
    assert again[:2] == history[:2] and again[-1] == pytest.approx(history[-1], rel=1e-3)
    assert_equal(whole, resumed, 2e-3)


def test_what_one_process_finds_wrong_is_the_error_of_all(examples, tmp_path):
    with pytest.raises(TrainingDiverged, match="learning_rate"):
        fit(examples, tmp_path / "absurd", 2, TRAINING.model_copy(update={"learning_rate": 1e9, "epochs": 20}))


def test_two_machines_train_the_student_of_two_processes(examples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    for name, value in {"NNODES": "2", "NODE_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}.items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "stillhouse.distillation.parallel.nodes"]
    other = subprocess.Popen(command, env={**os.environ, "NODE_RANK": "1"}, stdout=subprocess.PIPE, text=True)
    try:
        on_two, history = fit(examples, tmp_path / "nodes", 1, machines=2)
        assert "start" in other.stdout.readline()
    finally:
        other.send_signal(signal.SIGINT)
    assert other.wait(10) == 130
    monkeypatch.setenv("NNODES", "1")
    together, history_2 = fit(examples, tmp_path / "processes", 2)
    assert history == history_2
    assert_equal(on_two, together)


def labelled(teacher, source, folder, processes, datasets, words):
    folder.mkdir()
    write_soft_labels(teacher, datasets, 4, False, words, folder, processes=processes, source=source)
    return [np.load(file) for file in sorted(folder.glob("*.npy"))]


def test_processes_share_the_texts_of_soft_labels(tmp_path):
    settings = PARAMS.teacher.model_copy(
        update={"model": str(tiny_teacher(tmp_path / "tiny")), "max_length": 16, "freeze_layers": 0}
    )
    source = tmp_path / "teacher"
    load_pretrained(settings, LABELS).save(source)
    teacher = load_teacher(source, 16, CPU)
    texts = [text for text, _ in texts_and_labels(90)]
    datasets = [Dataset.from_dict({"text": texts[start : start + 30]}) for start in (0, 30, 60)]
    alone = labelled(teacher, source, tmp_path / "1", 1, datasets, 4)
    together = labelled(teacher, source, tmp_path / "2", 2, datasets, 4)
    assert len(alone) == 3
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
    assert [file.suffix for file in (tmp_path / "2").iterdir()] == [".npy"] * 3


def fine_tuned(folder, processes, scratch, log=None, **changes):
    """Settings of a teacher without dropout, its fine-tuned weights and its history."""
    update = {
        "model": str(folder),
        "max_length": 16,
        "freeze_layers": 0,
        "epochs": 2,
        "batch_size": 8,
        "learning_rate": 2e-3,
    }
    settings = OneTeacher.model_validate(
        {
            **{name: getattr(PARAMS.teacher, name) for name in OneTeacher.model_fields},
            **update,
            "attention_dropout": 0.0,
            **changes,
        }
    )
    rows = texts_and_labels(64)
    features = Features({"text": Value("string"), "label": ClassLabel(names=LABELS)})
    data = Dataset.from_dict({"text": [t for t, _ in rows], "label": [label for _, label in rows]}, features)
    torch.manual_seed(0)
    teacher = load_pretrained(settings, LABELS)
    scratch.mkdir(exist_ok=True)
    notes = log or Notes()
    options = {"device": CPU, "seed": 0, "scratch": scratch, "log": notes, "processes": processes}
    history = finetune(teacher, data, data, settings, Hints("none"), **options)
    return teacher.model.state_dict(), history, notes


@pytest.fixture(scope="module")
def without_dropout(tmp_path_factory):
    folder = tiny_teacher(tmp_path_factory.mktemp("tiny"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_dropout_prob": 0.0}))
    return folder


def assert_same_teacher(one, other):
    weights, history, _ = one
    weights_2, history_2, _ = other
    assert len(history) > 1
    assert [row["loss"] for row in history] == pytest.approx([row["loss"] for row in history_2], rel=1e-3)
    assert [row["validation_accuracy"] for row in history] == [row["validation_accuracy"] for row in history_2]
    assert_equal(weights, weights_2, 1e-4)


def test_two_processes_fine_tune_the_teacher_of_one(without_dropout, tmp_path):
    alone = fine_tuned(without_dropout, 1, tmp_path / "1")
    together = fine_tuned(without_dropout, 2, tmp_path / "2")
    assert_same_teacher(alone, together)
    assert [step for step, _ in alone[2].rows] == [step for step, _ in together[2].rows]


def test_a_sharded_teacher_is_that_without_sharding_and_resumes(without_dropout, tmp_path, capfd):
    # The pooler of BERT is not used and has no gradient. The dropout after pooling needs the same random numbers.
    options = {"pooling": "mean"}
    whole = fine_tuned(without_dropout, 2, tmp_path / "whole", **options)

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fine_tuned(without_dropout, 2, tmp_path / "2", Notes({16: stop}), fsdp=True, **options)
    weights = sum(value.numel() for value in whole[0].values())
    held = re.search(r"each of 2 processes holds about (\d+) of (\d+) weights", capfd.readouterr().err)
    assert int(held[2]) == weights and int(held[1]) == pytest.approx(weights / 2, rel=0.01)
    resumed = fine_tuned(without_dropout, 2, tmp_path / "2", fsdp=True, **options)
    assert_same_teacher(whole, resumed)
    assert [step for step, _ in resumed[2].rows] == [16, 16]


def test_an_encoder_with_shared_token_vectors_is_fine_tuned(without_dropout, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(without_dropout)
    sizes = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2}
    T5EncoderModel(T5Config(vocab_size=len(tokenizer), **sizes)).save_pretrained(tmp_path / "t5")
    tokenizer.save_pretrained(tmp_path / "t5")
    options = {"pooling": "mean", "epochs": 1}
    _, alone, _ = fine_tuned(tmp_path / "t5", 1, tmp_path / "1", **options)
    _, sharded, _ = fine_tuned(tmp_path / "t5", 2, tmp_path / "2", fsdp=True, **options)
    assert sharded[0]["loss"] == pytest.approx(alone[0]["loss"], rel=0.05)


def test_a_teacher_is_not_divided_between_one_process():
    settings = PARAMS.teacher.model_copy(update={"fsdp": True})
    rest = dict.fromkeys(
        ("train", "validation", "unlabelled", "machine", "weight", "hints", "device", "scratch", "log")
    )
    with pytest.raises(BadInput, match=r"teacher.fsdp.*flow.processes to 2"):
        train_teacher(load=None, settings=settings, seed=0, processes=1, **rest)


def test_a_batch_that_the_processes_cannot_share_equally_is_refused(tmp_path):
    with pytest.raises(BadInput, match="teacher.batch_size is 8, which 3 processes"):
        fine_tuned(tiny_teacher(tmp_path / "tiny"), 3, tmp_path / "3")
