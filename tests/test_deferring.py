"""What ``score`` does with deferred texts, and the audit: who answered, what people fill in, when a promise is broken."""

import csv

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset
from llm_server import scripted_server
from material import WORDS, texts_and_labels, tiny_model
from project import ROOT

from flows import audit, score
from flows.shared.deferring import Handling, audit_file, handling_of, write_sheets
from stillhouse.data.splits import Split, write_split
from stillhouse.errors import BadInput
from stillhouse.evaluation.promise import Promise
from stillhouse.labelling import second
from stillhouse.labelling.labeller import LanguageModel
from stillhouse.labelling.second import LanguageModelAnswers, Replies, TeacherModel
from stillhouse.labelling.sheet import read_sheet
from stillhouse.models.members import members, write_members
from stillhouse.params import load_params
from stillhouse.serving import Answers, Classifier

PARAMS = load_params(ROOT / "params.yaml")
TEXTS = [f"text {n}" for n in range(6)]
MODEL = "models:/topics/1"


def answers(*confidence: float, least: float = 0.8) -> Answers:
    sure = np.array(confidence, np.float32)
    return Answers(np.full(len(sure), "sport", object), sure, sure < least)


class Knows:
    """A model that answers some texts only."""

    name, waits, identity = "teacher", False, ""

    def prepare(self, classes):
        pass

    def __init__(self, **labels: str) -> None:
        self.known = {text.replace("_", " "): label for text, label in labels.items()}

    def answer(self, texts):
        labels = np.array([self.known.get(text) for text in texts], object)
        return Replies(labels, np.where(labels == None, np.nan, 0.75).astype(np.float32))  # noqa: E711


def filled(file, labels):
    """Fill in the column label of a file, as a spreadsheet would."""
    separator = ";" if ";" in file.read_text(encoding="utf-8").splitlines()[0] else ","
    table = pd.read_csv(file, dtype=str, keep_default_na=False, sep=separator)
    table["label"] = [labels.get(text, "") for text in table["text"]]
    table.to_csv(file, index=False, sep=";")


def test_deferred_texts_get_the_answer_of_the_second_model_and_the_others_stay():
    handling = Handling(Knows(text_1="weather", text_2="cooking"))
    table, aside = handling.columns(TEXTS[:4], answers(0.9, 0.9, 0.1, 0.2))
    assert table.column_names == ["label", "probability", "deferred", "answered_by"] and not len(aside)
    assert table["label"].to_pylist() == ["sport", "sport", "cooking", "sport"]
    assert table["answered_by"].to_pylist() == ["student", "student", "teacher", "student"]  # text 3 has no answer
    assert np.allclose(table["probability"], [0.9, 0.9, 0.75, 0.2]) and table["deferred"].to_pylist()[2:] == [True] * 2
    plain, aside = Handling().columns(TEXTS[:2], answers(0.9, 0.1))
    assert plain.column_names == ["label", "probability", "deferred"] and not len(aside)


def test_people_fill_in_a_file_and_the_next_run_takes_their_labels(tmp_path):
    file, target = tmp_path / "people.csv", tmp_path / "out.parquet"
    table = pa.table({"text": [*TEXTS, TEXTS[4]]})  # the last text is there twice
    classifier = Classifier.load(tiny_model(tmp_path / "model"))

    def run():
        handling = handling_of(str(file), 0.0, "people", target)
        score.label_chunk.fn(table, "text", table.schema, classifier, tmp_path / "000.parquet", 1.0, handling)
        found = pq.read_table(tmp_path / "000.parquet").to_pydict()
        return found, write_sheets(handling, [tmp_path / "000.aside"], target, MODEL)

    found, files = run()
    assert found["label"] == found["probability"] == [None] * 7 and set(found["answered_by"]) == {"people"}
    rows = list(csv.DictReader(file.open(encoding="utf-8")))
    assert [row["text"] for row in rows] == TEXTS and files == {str(file): 6}
    assert list(rows[0]) == ["id", "text", "label", "guess", "probability"] and rows[0]["guess"] in WORDS
    filled(file, {TEXTS[4]: "weather"})
    found, files = run()
    assert found["label"] == [None] * 4 + ["weather", None, "weather"] and files == {str(file): 5}
    assert list(read_sheet(file).values()) == ["weather"]  # it is still there
    table = table.slice(0, 3)
    with pytest.raises(BadInput, match="has labels of 1 other texts, which would be lost"):
        run()
    assert list(read_sheet(file).values()) == ["weather"]


def test_the_same_random_texts_are_audited_whatever_the_confidence(tmp_path):
    texts = [f"text {n}" for n in range(4000)]
    handling = handling_of("", 0.1, "people", tmp_path / "out.csv")
    sure = np.linspace(0, 1, 4000)
    table, aside = handling.columns(texts, answers(*sure))
    drawn = np.array(table["audited"])
    assert 320 < drawn.sum() < 480 and 0.45 < sure[drawn].mean() < 0.55 and len(aside) == drawn.sum()
    again, _ = handling.columns(texts[::-1], answers(*sure))
    assert np.array_equal(np.array(again["audited"])[::-1], drawn)
    assert aside["label"].null_count == len(aside) and handling.identity["audit"] == 0.1


def test_the_teacher_can_label_the_audit(tmp_path):
    handling = Handling(None, Knows(text_1="weather"), 1.0)
    _, aside = handling.columns(TEXTS, answers(*[0.9] * 6))
    assert aside["label"].to_pylist() == [None, "weather", None, None, None, None]
    assert audit_file(tmp_path / "out.csv", "teacher").name == "out.csv.audit.teacher.csv"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("", 1.5, "people"), "--audit is 1.5; it must be from 0 to 1"),
        (("", 0.1, "nobody"), "--audit-by is 'nobody'"),
        (("people.txt", 0.0, "people"), "must be teacher, label, or a file that ends in .csv"),
        (("out.csv", 0.0, "people"), "which this command writes already"),
        (("no/people.csv", 0.0, "people"), "does not exist. Make it"),
        (("teacher", 0.0, "people"), "--defer-to teacher works in a project's folder"),
        (("label", 0.0, "people"), "--defer-to label works in a project's folder"),
    ],
)
def test_wrong_options_are_refused(tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=message):
        handling_of(*options, tmp_path / "out.csv")


def test_a_teacher_of_other_classes_or_none_is_refused(tmp_path):
    model, others, train = tmp_path / "model", tmp_path / "others", tmp_path / "train.arrow"
    with pytest.raises(BadInput, match="There is no teacher here: .*model is missing. Run: make run"):
        TeacherModel(model, others, train, PARAMS)
    model.mkdir()
    others.mkdir()
    write_members(members(["a"], [32], [1.0]), others)
    write_split(Split(Dataset.from_dict({"text": ["a"]}), np.arange(1), np.zeros(1, int)), ["art", "sport"], train)
    with pytest.raises(BadInput, match="has the classes art, sport, the student cooking, sport"):
        TeacherModel(model, others, train, PARAMS).prepare(["cooking", "sport"])


def test_the_language_model_answers_once_and_a_text_without_an_answer_has_none(tmp_path, monkeypatch):
    monkeypatch.setattr("stillhouse.labelling.labeller.MODEL_ANSWERS", tmp_path)
    with pytest.raises(BadInput, match="names no language model"):
        LanguageModelAnswers(PARAMS, tmp_path / "train.arrow")
    known = dict(texts_and_labels(12))
    with scripted_server(known) as server:
        changes = {"model": "m", "url": server.url, "max_unusable": 1.0}
        label = type(PARAMS.label).model_validate(PARAMS.label.model_dump() | changes)
        model = LanguageModelAnswers(PARAMS.model_copy(update={"label": label}), tmp_path / "train.arrow")
        model.prepare(sorted(WORDS))
        replies = model.answer(list(known))
        assert replies.labels.tolist() == list(known.values()) and (replies.probabilities > 0.3).all()
        calls = server.calls
        assert model.answer(list(known)).labels.tolist() == list(known.values()) and server.calls == calls
    assert isinstance(model._model, LanguageModel) and model.name == second.LANGUAGE_MODEL
    unknown = Replies.of(np.array([[0.2, 0.8], [np.nan, np.nan]], np.float32), ["a", "b"])
    assert unknown.labels.tolist() == ["b", None] and np.isnan(unknown.probabilities[1])


# The audit


def test_a_promise_that_holds_is_called_broken_in_at_most_five_of_a_hundred_audits():
    random = np.random.default_rng(0)
    found = [Promise.of(random.random(300) < 0.95, 0.95, "labels") for _ in range(1000)]
    assert sum(one.broken for one in found) <= 50
    worse = [Promise.of(random.random(300) < 0.85, 0.95, "labels") for _ in range(100)]
    assert sum(one.broken for one in worse) > 90 and not any(one.holds for one in worse)
    better = Promise.of(np.ones(59, bool), 0.95, "labels")
    assert better.holds and not Promise.of(np.ones(58, bool), 0.95, "labels").holds
    nothing = Promise.of(np.zeros(0, bool), 0.95, "labels")
    assert not nothing.holds and not nothing.broken and "neither" in nothing.sentence


def audit_rows(file, labels, guess="sport", probability="0.9", by="people"):
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(audit.AUDIT_COLUMNS)
        rows = enumerate(labels)
        writer.writerows([f"{n:032x}", f"text {n}", label, guess, probability, MODEL, by] for n, label in rows)


def run_audit(tmp_path, monkeypatch, labels, promises, **changes):
    config = {"min_confidence": 0.5, "promises": promises}
    monkeypatch.setattr(audit, "_config", lambda *_: config | {"labels": sorted(WORDS)})
    audit_rows(tmp_path / "audit.csv", labels, **changes)
    audit.main(str(tmp_path / "audit.csv"), False)


def test_a_shift_that_breaks_the_promise_ends_the_audit_with_status_3(tmp_path, monkeypatch, capsys):
    before, after = ["sport"] * 118 + ["weather", ""], ["sport"] * 100 + ["weather"] * 19 + ["politics"]
    run_audit(tmp_path, monkeypatch, before, {"labels": 0.95})
    shown = capsys.readouterr().out
    assert "The promise still holds" in shown and "1 rows have no label" in shown
    with pytest.raises(SystemExit) as ended:
        run_audit(tmp_path, monkeypatch, after, {"labels": 0.95})
    shown = capsys.readouterr().out
    assert ended.value.code == 3 and "The promise is broken" in shown
    assert "no class of the model count as errors: politics" in shown
    run_audit(tmp_path, monkeypatch, after, {"labels": 0.95}, probability="0.4")  # all of them were deferred
    assert "Of 0 audited answers" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("labels", "promises", "changes", "message"),
    [
        (["", ""], {"labels": 0.9}, {}, "no row has a label"),
        (["sport"], {}, {}, "without a promise about labels of people .register.answered_accuracy"),
        (["sport"], {"labels": 0.9}, {"by": "teacher"}, "without a promise about answers of the teacher"),
        (["sport"], {"labels": 0.9}, {"probability": "high"}, "a value that is no number"),
    ],
)
def test_an_audit_that_says_nothing_is_refused(tmp_path, monkeypatch, labels, promises, changes, message):
    with pytest.raises(SystemExit, match=message):
        run_audit(tmp_path, monkeypatch, labels, promises, **changes)
