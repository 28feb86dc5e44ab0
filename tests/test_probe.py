"""The teacher's linear probe, and what a bag of words teaches it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Value
from material import WORDS, texts_and_labels, tiny_teacher
from project import ROOT
from sklearn.feature_extraction.text import CountVectorizer

from stillhouse.distillation import reading
from stillhouse.distillation.cotraining import bag_of_words, cotrain
from stillhouse.distillation.hints import Hints
from stillhouse.distillation.probe import fit_probe, head_and_inputs, set_head
from stillhouse.distillation.teaching import train_teacher
from stillhouse.labelling.answers import no_machine_labels
from stillhouse.models.pretrained import load_pretrained
from stillhouse.params import load_params

SETTINGS = load_params(ROOT / "params.yaml").teacher.model_copy(update={"max_length": 32, "freeze_layers": 0})
NAMES = ["cooking", "sport", "weather"]


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    folder = tiny_teacher(tmp_path_factory.mktemp("teacher"))
    return lambda names=NAMES: load_pretrained(SETTINGS.model_copy(update={"model": str(folder)}), names)


def rows_of(count, seed):
    rows = texts_and_labels(count, seed)
    features = Features({"text": Value("string"), "label": ClassLabel(names=NAMES)})
    return Dataset.from_dict({"text": [text for text, _ in rows], "label": [label for _, label in rows]}, features)


@pytest.mark.parametrize("names", [NAMES, NAMES[:2]])
def test_a_teacher_with_the_probe_as_its_head_answers_as_the_probe(load, names):
    teacher = load(names)
    texts = [text for text, label in texts_and_labels(60) if label in names]
    labels = np.array([names.index(label) for _, label in texts_and_labels(60) if label in names])
    head, features = head_and_inputs(teacher, texts)
    probe, _ = fit_probe(features, labels, seed=0)
    set_head(head, probe)
    given = torch.softmax(torch.from_numpy(teacher.logits(texts, 8)).double(), 1).numpy()
    np.testing.assert_allclose(given, probe.predict_proba(features), atol=1e-4)


def test_a_probe_stands_classes_of_one_text_and_those_that_it_never_saw(load):
    teacher = load()
    features = np.random.default_rng(0).normal(size=(9, teacher.model.config.hidden_size)).astype(np.float32)
    probe, _ = fit_probe(features, np.array([0] * 8 + [2]), seed=0)
    set_head(head_and_inputs(teacher, ["rain"])[0], probe)
    assert (teacher.logits(["rain"] * 3, 2).argmax(1) != 1).all()


def test_a_bag_of_words_improves_a_probe_that_sees_little():
    rows = texts_and_labels(400)
    labels = np.array([NAMES.index(label) for _, label in rows])
    texts = [text for text, _ in rows]
    gains = []
    for seed in range(4):
        # The probe sees the class through noise; the words tell it plainly.
        random = np.random.default_rng(seed)
        features = np.eye(3)[labels] + random.normal(scale=0.5, size=(400, 3))
        features = np.concatenate([features, random.normal(size=(400, 5))], axis=1).astype(np.float32)
        probe, _ = fit_probe(features[:24], labels[:24], seed=0)
        better = cotrain(probe, bag_of_words(texts), features, labels[:24], rounds=3)
        before, after = ((model.predict(features[24:]) == labels[24:]).mean() for model in (probe, better))
        gains.append(after - before)
    assert np.mean(gains) > 0.03
    assert cotrain(probe, bag_of_words(texts), features, labels[:24], rounds=0) is probe


def test_few_validation_texts_leave_the_probe_and_a_simple_models_hints_ask_for_fine_tuning(load, tmp_path):
    class Log:
        def metrics(self, values, step=None): ...

        def series(self, name, values, first): ...

    def trained(validation=12, **changes):
        settings = SETTINGS.model_copy(update={"epochs": 1, "batch_size": 16, **changes})
        return train_teacher(
            load,
            rows_of(60, 1),
            rows_of(12, 2).select(range(validation)),
            rows_of(40, 3).remove_columns("label"),
            no_machine_labels(2),
            "auto",
            settings,
            Hints("none"),
            device=torch.device("cpu"),
            seed=0,
            scratch=lambda _: tmp_path / str(validation),
            log=Log(),
        )

    found = trained()
    (probe,) = found.history
    assert probe["epoch"] == 0 and 0 <= probe["validation_accuracy"] <= 1 and probe["loss"] > 0
    # What the head reads is recorded for the next stage: of all training texts and of the unlabelled ones.
    assert len(found.vectors.inputs) == 100 and list(found.vectors.unlabelled) == list(range(40))
    (bare,) = trained(validation=0).history
    assert bare == {"epoch": 0.0, "loss": probe["loss"]}
    tuned = trained(finetune=True)
    assert tuned.history[-1]["epoch"] == 1 and not len(tuned.vectors.inputs)
    (row,) = trained(validation=0, finetune=True).history  # nothing selects a checkpoint: it is the last one
    assert row["epoch"] == 1 and row["loss"] > 0


@pytest.mark.parametrize(("before", "chosen"), [(0, 4), (8, 16), (40, 4)])
def test_the_teacher_reads_more_of_each_text_where_that_is_shown_to_be_better(load, monkeypatch, before, chosen):
    def words_read(teacher, texts):
        read = [" ".join(text.split()[: teacher.max_length]) for text in texts]
        return None, CountVectorizer(vocabulary=sorted({*" ".join(texts).split()})).transform(read).toarray()

    monkeypatch.setattr(reading, "LENGTHS", (16, 32))
    monkeypatch.setattr(reading, "head_and_inputs", words_read)
    labels = np.arange(60) % len(NAMES)
    texts = ["the " * before + " ".join(sorted(WORDS[NAMES[label]])[:4]) for label in labels]
    assert reading.choose_length(replace(load(), max_length=4), texts, labels, seed=0) == chosen
