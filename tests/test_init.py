"""``stillhouse init`` sets the keys that a table needs, or names what it cannot decide and writes nothing."""

import random
import shutil
from pathlib import Path

import pandas as pd
import pytest
from datasets import ClassLabel, Dataset
from material import WORDS
from project import ROOT
from tables import DATES, LABELS, ROWS, TABLES, TEXTS, frame, table
from typer.testing import CliRunner

from flows.cli import app
from stillhouse.data.inspection.names import LABEL, Standing, standing
from stillhouse.params import load_params

CLASSES = sorted(WORDS)


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A folder with the params.yaml of the repository."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    # The command runs in this process, which must keep its own handlers of signals.
    monkeypatch.setattr("flows.shared.stopping.handle_signals", lambda: None)
    monkeypatch.setattr("flows.shared.stopping._is_command", False)
    return tmp_path


def init(*words, status=0):
    """The output of the command; params.yaml is as it was if the command fails."""
    before = (ROOT / "params.yaml").read_bytes()
    done = CliRunner().invoke(app, ["init", *words])
    assert done.exit_code == status, done.output
    assert status == 0 or load_text() == before
    return done.output if status == 0 else str(done.exception.code)


def load_text():
    return Path("params.yaml").read_bytes()


def found():
    params = load_params()
    return params.data.text_column, params.data.label_column, params.model_name


@pytest.mark.parametrize("name", TABLES)
def test_the_columns_of_a_table_are_found(name, project):
    content, text, label = TABLES[name]
    (project / "data" / name).write_bytes(content)
    output = init(f"data/{name}")
    assert found() == (text, label, name.partition(".")[0])
    data = load_params().data
    assert (data.source, data.path, data.labels_per_class) == ("files", f"data/{name}", None)
    assert "Next: stillhouse run" in output


def test_parquet_with_dates_and_class_numbers(project):
    rows = {"when": pd.to_datetime(DATES), "document": TEXTS, "topic": LABELS}
    Dataset.from_pandas(frame(**rows)).cast_column("topic", ClassLabel(names=CLASSES)).to_parquet("data/some.parquet")
    assert all(f"{name} (30)" in init("data/some.parquet") for name in CLASSES)
    assert found() == ("document", "topic", "some")


def test_comments_order_and_all_other_lines_of_params_stay(project):
    (project / "data" / "comma.csv").write_bytes(TABLES["comma.csv"][0])
    before = load_text().decode().splitlines()
    init("data/comma.csv")
    after = load_text().decode().splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert [new.split("#")[0].strip() for _, new in changed] == [
        "source: files",
        "path: data/comma.csv",
        "labels_per_class: null",
        "name: comma",
    ]
    assert all(old.partition("#")[2] == new.partition("#")[2] for old, new in changed)
    assert "params.yaml is valid" in CliRunner().invoke(app, ["check"]).output


def test_a_dry_run_shows_the_keys_and_writes_nothing(project):
    (project / "data" / "comma.csv").write_bytes(TABLES["comma.csv"][0])
    before = load_text()
    assert "data.path: data/comma.csv" in init("data/comma.csv", "--dry-run")
    assert load_text() == before


def test_a_code_page_is_suggested_and_set_when_named(project):
    texts = [f"{text} für Käufer" for text in TEXTS]
    frame(text=texts, label=LABELS).to_csv("data/old.csv", index=False, encoding="cp1252")
    assert "--encoding cp1252" in init("data/old.csv", status=1)
    init("data/old.csv", "--encoding", "cp1252")
    assert load_params().data.encoding == "cp1252"


def test_a_delimiter_that_auto_does_not_find_is_set(project):
    # With commas the header has the wanted columns, too, and the rows do not fit.
    lines = [f"{text}, {text}\t{label}\t{label},x\n" for text, label in ROWS]
    (project / "data" / "both.csv").write_text("text\tlabel\ta,text,label,b\n" + "".join(lines))
    init("data/both.csv", "--text", "text", "--label", "label")
    data = load_params().data
    assert (data.delimiter, data.text_column, data.label_column) == ("\t", "text", "label")


def test_two_columns_that_may_be_the_text_are_named_and_one_is_asked_for(project):
    others = random.Random(0).sample(TEXTS, 90)
    frame(one=TEXTS, two=others, label=LABELS).to_csv("data/close.csv", index=False)
    message = init("data/close.csv", status=1)
    assert "the text may be in 'one' or 'two'" in message and "--text one" in message
    init("data/close.csv", "--text", "two")
    assert found()[:2] == ("two", "label")


@pytest.mark.parametrize(
    "columns",
    [
        {"category": LABELS, "sentiment": ["good", "bad"] * 45},
        {"stars": [1, 2, 3] * 30, "flag": [0, 1] * 45},
        {"lang": ["en", "de", "fr"] * 30},
        {"label": [0, 1, 2] * 30, "label_text": LABELS},
    ],
)
def test_a_label_that_is_no_safe_choice_is_asked_for(columns, project):
    frame(text=TEXTS, **columns).to_csv("data/some.csv", index=False)
    message = init("data/some.csv", status=1)
    assert all(repr(name) in message for name in columns) and "--label" in message
    first = next(iter(columns))
    init("data/some.csv", "--label", first)
    assert load_params().data.label_column == first


def test_without_labels_the_message_shows_the_way_and_class_options_take_it(project):
    frame(id=range(90), text=TEXTS).to_csv("data/plain.csv", index=False)
    for words in ([], ["--label", ""]):
        message = init("data/plain.csv", *words, status=1)
        assert all(part in message for part in ("data.label_column: null", "--class", "docs/own-data.md")), message
    init("data/plain.csv", "--label", "", "--class", "sport: goal, match", "--class", "weather")
    data = load_params().data
    assert data.label_column is None and data.classes == {"sport": "goal, match", "weather": None}


def test_what_prepare_drops_and_rare_classes_are_counted(project):
    rows = [*ROWS, (TEXTS[0].upper(), LABELS[0]), (TEXTS[1], "sport"), ("", "sport"), ("no label here", "")]
    rows += [("a single one", "odd")]
    frame(text=[text for text, _ in rows], label=[label for _, label in rows]).to_csv("data/some.csv", index=False)
    output = init("data/some.csv")
    assert "1 without a text, 0 with a text but no label, 1 duplicates, 1 duplicates with another label" in output
    assert "texts without labels: 1. The student learns from them, too" in output
    assert "classes: 4: " in output and "too few to learn them well: odd (1)" in output
    assert load_params().data.empty_texts == "drop"


def test_a_folder_of_splits_with_texts_without_labels(project):
    for name, rows in (("train", range(60)), ("test", range(60, 90))):
        frame(text=[TEXTS[row] for row in rows], label=[LABELS[row] for row in rows]).to_csv(
            f"data/{name}.csv", index=False
        )
    frame(text=[f"{text} more" for text in TEXTS]).to_csv("data/unlabelled.csv", index=False)
    output = init("data")
    assert "rows: 60 train, 30 test" in output
    assert "texts without labels: 90" in output
    assert load_params().data.unlabelled == "unlabelled"


def test_a_folder_in_the_format_of_the_hub(project):
    rows = frame(sentence=TEXTS, label=[CLASSES.index(label) for label in LABELS], idx=range(90))
    made = Dataset.from_pandas(rows).cast_column("label", ClassLabel(names=CLASSES))
    (project / "hub").mkdir()
    made.to_parquet("hub/train-00000-of-00001.parquet")
    assert "sport (30)" in init("./hub")
    data = load_params().data
    assert (data.source, data.hub_id, data.text_column, data.label_column) == ("hub", "./hub", "sentence", "label")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.csv", None, "does not exist"),
        ("empty.csv", b"", "is empty"),
        ("header.csv", b"text,label\n", "has columns but no rows"),
        ("packed.csv", b"\x1f\x8b\x08rest", "gzip"),
        ("book.xlsx", b"PK\x03\x04", "unknown kind"),
        ("bad.parquet", b"PAR1 nothing", "is not a Parquet file"),
        ("bad.jsonl", b"[\n", "not JSON Lines"),
        ("row.csv", table(",", "utf-8") + b"1,2,3,4,5\n", "row 92 has 5 fields"),
        ("one.csv", frame(text=TEXTS, label="same").to_csv(index=False).encode(), "one class alone, 'same'"),
        ("ids.csv", frame(id=range(90), when=DATES, label=LABELS).to_csv(index=False).encode(), "no column has texts"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(name, content, message, project):
    if content is not None:
        (project / "data" / name).write_bytes(content)
    output = init(f"data/{name}", status=1)
    assert name in output and message in output


def test_a_column_that_does_not_exist_is_named(project):
    (project / "data" / "comma.csv").write_bytes(TABLES["comma.csv"][0])
    assert "no column 'body' (--text-column)" in init("data/comma.csv", "--text", "body", status=1)


def test_without_params_it_says_where_to_run(project):
    (project / "data" / "comma.csv").write_bytes(TABLES["comma.csv"][0])
    (project / "params.yaml").unlink()
    done = CliRunner().invoke(app, ["init", "data/comma.csv"])
    assert done.exit_code == 1 and "params.yaml is missing" in str(done.exception.code)
    assert not (project / "params.yaml").exists()


def test_times_are_not_estimated_for_a_teacher_that_is_not_here(project):
    (project / "data" / "comma.csv").write_bytes(TABLES["comma.csv"][0])
    assert "reads 90 texts of" in init("data/comma.csv")
    content = load_text().decode().replace("  model: sample  ", "  model: ./teacher  ")
    (project / "params.yaml").write_text(content)
    output = CliRunner().invoke(app, ["init", "data/comma.csv"]).output
    assert "time: not estimated" in output and "language: not checked" in output


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Label", 2), ("CATÉGORIE", 2), ("label_id", 1), ("topicName", 1), ("labelled", 0), ("वर्ग", 2), ("カテゴリ", 2)],
)
def test_names_are_compared_without_case_accents_and_signs(name, expected):
    assert standing(name, LABEL) == Standing(expected)
