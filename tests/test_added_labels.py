"""Labels that people add: how they join the data, which rows are refused, and which texts are next."""

import csv
import json
import shutil

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset
from material import WORDS, texts_and_labels, write_csv
from project import ROOT, new_project
from test_every_student import inside, run

from flows import add, next
from stillhouse.data.added import add_labels, append_added, read_added
from stillhouse.data.keys import text_key
from stillhouse.data.splits import Split, label_names, labels_of, read_split, write_split, write_texts
from stillhouse.data.splitting import train_on_all
from stillhouse.data.transfer import SCHEMA
from stillhouse.errors import BadInput
from stillhouse.labelling.choice import choose, margins
from stillhouse.labelling.unlabelled import next_texts, unlabelled_texts
from stillhouse.pipeline.artefacts import path
from tasks import prepare

NAMES = ["cooking", "sport"]
OPTIONS = {"text_column": "text", "label_column": "label", "new_classes": False, "replace": False} | dict.fromkeys(
    ("delimiter", "quoting", "escape", "encoding"), "auto"
)


def keyed(**labels: str) -> dict[bytes, str]:
    return {text_key(text.replace("_", " ")): label for text, label in labels.items()}


def data(first_validation: int = 4) -> dict[str, Split]:
    whole = Dataset.from_dict({"text": [f"text {n}" for n in range(6)]})
    test = Dataset.from_dict({"text": ["test 0", "test 1"]})
    cut, labels = first_validation, np.array([0, 1, 0, 1, 0, 1])
    return {
        "train": Split(whole, np.arange(cut), labels[:cut]),
        "validation": Split(whole, np.arange(cut, 6), labels[cut:]),
        "test": Split(test, np.arange(2), np.array([0, 2])),
    }


def texts(split: Split) -> list[str]:
    return split.dataset[split.rows.tolist()]["text"]


# The data


def test_a_label_replaces_one_and_gives_a_text_without_one_to_train():
    more = Dataset.from_dict({"text": ["more 0", "more 1", "more 2"]})
    added = keyed(text_0="sport", TEXT_1="sport", text_5="cooking", more_1="sport", test_0="sport", gone="sport")
    found = add_labels(data(), [(more, np.arange(3))], NAMES, ["weather"], added)
    assert texts(found.splits["train"]) == ["text 0", "text 1", "text 2", "text 3", "more 1"]
    assert found.splits["train"].labels.tolist() == [1, 1, 0, 1, 1]
    assert found.splits["validation"].labels.tolist() == [0, 0] and found.splits["test"].labels.tolist() == [0, 2]
    [(rest, rows)] = found.unlabelled
    assert rest[rows.tolist()]["text"] == ["more 0", "more 2"]
    assert found.counts == {"added": 1, "changed": 2, "confirmed": 1, "test texts": 1, "unknown texts": 1}
    whole = train_on_all(found.splits, 200)  # train and validation still are of one data set
    assert len(texts(whole["train"])) == 7 and whole["train"].labels.tolist() == [1, 1, 0, 1, 0, 0, 1]


def test_a_new_class_comes_last_and_test_texts_of_it_are_counted_right():
    found = add_labels(data(), [], NAMES, ["weather", "art"], keyed(text_2="art"))
    assert (found.label_names, found.unseen, found.new) == ([*NAMES, "art"], ["weather"], ["art"])
    assert found.splits["train"].labels.tolist() == [0, 1, 2, 1] and found.splits["test"].labels.tolist() == [0, 3]


def test_without_added_labels_nothing_changes():
    splits = data()
    found = add_labels(splits, [], NAMES, ["weather"], {})
    assert found.splits["train"].dataset is splits["train"].dataset and not any(found.counts.values())


def test_the_file_is_only_appended_to_and_the_last_label_of_a_text_counts(tmp_path):
    file = tmp_path / "added_labels.csv"
    assert read_added(str(file)) == read_added(None) == {}
    append_added(file, [('a "quoted"\ntext, of lines', "sport"), ("b", "sport")], "2026-01-01")
    before = file.read_bytes()
    append_added(file, [("B ", "cooking")], "2026-01-02")
    assert file.read_bytes().startswith(before) and len(list(tmp_path.iterdir())) == 1
    assert read_added(str(file)) == {text_key('a "quoted" text, of lines'): "sport", text_key("b"): "cooking"}
    file.write_text("date,text,label\n2026-01-01,a,\n")
    with pytest.raises(BadInput, match=r"added_labels.csv row 2 \(data.added_labels\) has no label"):
        read_added(str(file))


# The next texts


def finished(folder, probabilities: np.ndarray, labelled: int = 2) -> None:
    """The outputs of a run with ``labelled`` texts and further ones, which have the given probabilities."""
    (folder / "outputs" / "prepare").mkdir(parents=True)
    answers = path("soft_labels/answers", folder)
    answers.mkdir(parents=True)
    names = [f"text {n}" for n in range(labelled + len(probabilities))]
    whole = Dataset.from_dict({"text": names})
    labels = np.arange(labelled) % 2
    write_split(Split(whole, np.arange(labelled), labels), NAMES, path("train", folder))
    write_split(Split(whole, np.arange(0), labels[:0]), NAMES, path("validation", folder))
    write_split(Split(Dataset.from_dict({"text": ["test 0"]}), np.arange(1), labels[:1]), NAMES, path("test", folder))
    rest = np.arange(labelled, len(names))
    write_texts([(whole, rest)], path("unlabelled", folder))
    write_texts([], path("heldout", folder))
    with pa.ipc.new_stream(str(answers / "extra.arrow"), SCHEMA) as out:  # an altered copy comes first
        extra = ["copy", *names[labelled:]]
        out.write_batch(pa.record_batch([pa.array(extra), pa.array([0] + [-1] * len(rest))], schema=SCHEMA))
    soft = np.concatenate([np.full((labelled + 1, 2), 0.5), probabilities])
    np.save(answers / "logits.npy", np.log(soft).astype(np.float32))
    np.save(answers / "features.npy", np.random.default_rng(0).normal(size=(len(soft), 4)).astype(np.float16))
    shutil.copy(ROOT / "params.yaml", folder)


def soft(*first: float) -> np.ndarray:
    return np.stack([np.array(first), 1 - np.array(first)], 1)


def test_the_least_sure_text_without_a_label_is_first(tmp_path):
    finished(tmp_path, soft(0.9, 0.6, 0.2, 0.99))
    places = [path(name, tmp_path) for name in ("train", "train", "soft_labels/answers")]
    found = unlabelled_texts(*places, keyed(text_4="sport"), 13)
    assert found.texts == ["text 2", "text 3", "text 5"]  # no labelled text, no copy, none labelled since
    assert [found.texts[row] for row in next_texts(found, "uncertain", 2, 13)] == ["text 3", "text 2"]
    with pytest.raises(BadInput, match="--count is 4, but the data have 3 texts without a label"):
        next_texts(found, "uncertain", 4, 13)


def test_uncertain_and_diverse_texts_are_uncertain_and_far_apart():
    random = np.random.default_rng(1)
    features = np.repeat(np.eye(5), 60, axis=0) + random.normal(scale=0.01, size=(300, 5))
    probabilities = np.full((300, 2), [0.95, 0.05])
    probabilities[::5] = [0.5, 0.5]  # twelve of each group
    chosen = choose("uncertain_diverse", 5, probabilities, features, 0)
    assert sorted(chosen // 60) == [0, 1, 2, 3, 4] and not margins(probabilities[chosen]).any()


def test_the_file_of_next_goes_back_through_add(tmp_path, monkeypatch, capsys):
    finished(tmp_path, soft(0.9, 0.6, 0.2, 0.99))
    monkeypatch.chdir(tmp_path)
    next.main("next.csv", 3, "uncertain_diverse", False)
    first = (tmp_path / "next.csv").read_bytes()
    next.main("again.csv", 3, "uncertain_diverse", False)
    assert (tmp_path / "again.csv").read_bytes() == first
    with pytest.raises(SystemExit, match="next.csv exists. Name another file, or replace it with --force"):
        next.main("next.csv", 3, "random", False)
    with (tmp_path / "next.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    assert rows[0]["text"] == "text 3" and {row["label"] for row in rows} == {""}
    assert (rows[0]["guess"], rows[0]["probability"]) == ("cooking", "0.600")
    rows[0] |= {"label": "sport", "text": "t?xt 3"}  # altered by a spreadsheet; the id names it
    rows[1] |= {"label": " cooking "}
    with (tmp_path / "next.csv").open("w", encoding="utf-8", newline="") as table:
        writer = csv.DictWriter(table, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    add.main(source="next.csv", **OPTIONS)
    assert "2 added, 0 changed, 0 known already, 1 without a label" in capsys.readouterr().out
    assert read_added(str(tmp_path / "added_labels.csv")) == {
        text_key("text 3"): "sport",
        text_key(rows[1]["text"]): "cooking",
    }
    added = (tmp_path / "added_labels.csv").read_bytes()
    add.main(source="next.csv", **OPTIONS)
    assert (tmp_path / "added_labels.csv").read_bytes() == added
    with pytest.raises(SystemExit, match="--count is 3, but the data have 2 texts without a label"):
        next.main("more.csv", 3, "random", False)
    assert not (tmp_path / "more.csv").exists()


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([("text 9", "sport")], {}, "row 2: the text is not in the data"),
        ([("test 0", "sport")], {}, "row 2: the text is a test text"),
        ([("text 2", "sprot")], {}, "row 2: 'sprot' is no class. Correct it, or accept new classes with --new-classes"),
        (
            [("text 2", "sport"), ("Text  2", "cooking")],
            {},
            "row 3: 'cooking', but row 2 gives the same text the label",
        ),
        (
            [("text 0", "sport")],
            {},
            "row 2: 'sport', but the text has the label 'cooking'. Change labels with --replace",
        ),
        ([("text 2", "")], {}, r"no row has a label in the column 'label' \(1 rows are empty there\)"),
        ([("text 0", "sport"), ("text 2", "sport"), ("text 1", "sport")], {"replace": True}, None),
        ([("text 2", "art")], {"new_classes": True}, None),
    ],
)
def test_rows_that_cannot_be_used_are_named_and_nothing_is_added(tmp_path, monkeypatch, capsys, rows, options, message):
    finished(tmp_path, soft(0.9, 0.6))
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "in.csv", rows, "text,label")
    options = OPTIONS | options
    if message:
        with pytest.raises(SystemExit, match=message):
            add.main(source="in.csv", **options)
        assert not (tmp_path / "added_labels.csv").exists()
    else:
        add.main(source="in.csv", **options)
        assert read_added(str(tmp_path / "added_labels.csv"))[text_key(rows[0][0])] == rows[0][1]
        changed = 1 if options["replace"] else 0
        assert f"1 added, {changed} changed, {changed} known already" in capsys.readouterr().out


def test_a_project_without_a_file_for_labels_adds_none(tmp_path, monkeypatch):
    finished(tmp_path, soft(0.9))
    monkeypatch.chdir(tmp_path)
    params = (tmp_path / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(params.replace("added_labels: added_labels.csv", "added_labels: null "))
    with pytest.raises(SystemExit, match="data.added_labels is null in params.yaml"):
        add.main(source="in.csv", **OPTIONS)


def test_without_a_finished_run_the_commands_name_the_next_step(tmp_path, monkeypatch):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="There are no soft labels yet"):
        next.main("next.csv", 3, "random", False)
    with pytest.raises(SystemExit, match="There are no prepared texts yet"):
        add.main(source="in.csv", **OPTIONS)


# The stage


def test_prepare_uses_the_added_labels_and_counts_them(tmp_path):
    project, rows = new_project(tmp_path / "project"), texts_and_labels(360)[:200]
    project.set(data__labels_per_class=12)
    with inside(project):
        topics = {label: "fog" if label == "weather" else label for _, label in rows}  # another name for one class
        append_added(project.folder / "added_labels.csv", [(text, topics[label]) for text, label in rows], "2026-01-01")
        run(prepare)
        train, test = read_split(path("train")), read_split(path("test"))
        counts = json.loads(path("prepare/card.json").read_text())["added_labels"]
        assert (project.folder / "inputs" / "added").resolve() == project.folder / "added_labels.csv"
    names, labels = label_names(train), dict(zip(train["text"], labels_of(train), strict=True))
    assert names == [*sorted(WORDS), "fog"] and label_names(test) == names
    tested = {text for text, _ in rows} & set(test["text"])
    assert counts["test texts"] == len(tested) > 20 and counts["unknown texts"] == 0
    assert counts["added"] == len(train) - 36 > 100 and 0 < counts["changed"] <= 12 and counts["confirmed"] > 0
    assert all(names[labels[text]] == topics[label] for text, label in rows if text not in tested)
