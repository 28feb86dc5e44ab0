"""Sources, cleaning and splits: what is accepted, what is refused, and what the message says."""

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from material import texts_and_labels, write_csv
from project import ROOT

from stillhouse.data.card import data_card
from stillhouse.data.class_names import combined_names, similar_names
from stillhouse.data.cleaning import clean
from stillhouse.data.sources import load_source
from stillhouse.data.splits import MIN_TEXTS, Split, label_names, labels_of, read_split, write_split
from stillhouse.data.splitting import complete, few_labels, hold_out, train_on_all
from stillhouse.errors import BadInput, Unavailable
from stillhouse.params import Data, load_params

DATA = load_params(ROOT / "params.yaml").data.model_copy(
    update={"source": "files", "labels_per_class": None, "text_column": "review", "label_column": "topic"}
)


def settings(path: Path, **changes):
    return DATA.model_copy(update={"path": str(path), **changes})


def cleaned(path: Path, tmp_path: Path, **changes):
    data = settings(path, **changes)
    return clean(load_source(data, tmp_path / "cache"), data)


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_every_kind_of_file_gives_the_same_rows(tmp_path, kind):
    frame = pd.DataFrame(texts_and_labels(30), columns=["review", "topic"]).assign(other=1)
    frame.loc[0, "review"] = 'a "quoted", text\nin two lines'
    frame.loc[1, "review"] = "NA"
    file = tmp_path / f"texts.{kind}"
    {
        "csv": lambda: frame.to_csv(file, index=False),
        "tsv": lambda: frame.to_csv(file, sep="\t", index=False),
        "jsonl": lambda: frame.to_json(file, orient="records", lines=True),
        "parquet": lambda: frame.to_parquet(file),
    }[kind]()
    source = load_source(settings(file), tmp_path / "cache")
    rows = source.splits["train"]
    assert rows[:]["text"] == frame["review"].tolist()
    assert rows[:]["label"] == frame["topic"].tolist()


def test_a_large_file_stays_on_disk(tmp_path):
    file = write_csv(tmp_path / "texts.csv", texts_and_labels(50))
    source = load_source(settings(file), tmp_path / "cache")
    assert source.splits["train"].cache_files  # memory-mapped Arrow, not a table in memory


def test_numbers_as_labels_become_names_in_numeric_order(tmp_path):
    rows = [(text, str(index % 12)) for index, (text, _) in enumerate(texts_and_labels(60))]
    pd.DataFrame(rows, columns=["review", "topic"]).astype({"topic": int}).to_parquet(tmp_path / "texts.parquet")
    assert cleaned(tmp_path / "texts.parquet", tmp_path).label_names == [str(number) for number in range(12)]


def test_a_hub_dataset_keeps_its_class_names_and_their_order(tmp_path):
    names = ["zebra", "ant"]
    features = Features({"review": Value("string"), "topic": ClassLabel(names=names)})
    made = {
        split: Dataset.from_dict(
            {"review": [f"{split} {i}" for i in range(20)], "topic": [i % 2 for i in range(20)]}, features
        )
        for split in ("train", "test")
    }
    DatasetDict(made)
    folder = tmp_path / "hub"
    folder.mkdir()
    for split, dataset in made.items():
        dataset.to_parquet(folder / f"{split}-00000-of-00001.parquet")
    data = DATA.model_copy(update={"source": "hub", "hub_id": str(folder)})
    result = clean(load_source(data, tmp_path / "cache"), data)
    assert result.label_names == names
    assert set(result.splits) == {"train", "test"}


def test_an_unreachable_hub_says_what_works_offline(tmp_path, monkeypatch):
    data = DATA.model_copy(update={"source": "hub", "hub_id": "somebody/some-data"})
    with pytest.raises((Unavailable, BadInput)) as raised:
        load_source(data, tmp_path)
    assert "HF_HUB_OFFLINE" in str(raised.value) and "data.source: files" in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "texts.csv is empty"),
        (b"review,topic\n", "has columns but no rows"),
        (b"text,topic\na,b\n", "has no column 'review' (data.text_column). It has: 'text', 'topic'"),
        (b"review,topic\ngood,a\nbad \xe9,b\n", "texts.csv line 3: byte 0xe9 is not utf-8"),
        (b"review,topic\none,a\ntwo,a\nthree,a\nfour,a\n", "has only one class, 'a'"),
        (b"review,topic\none,a\n,a\n  ,b\nfour,b\nfive,\n", "3 of 5 rows have no text or no label (rows 3, 4, 6)"),
        (b"review,topic\none,a\none,b\none,b\n", "(2 rows were dropped because their text also has another label"),
        (b"x," + b",".join(b"c%d" % n for n in range(500)) + b"\n1\n", "'c18', ... (501 in all)"),
        (b'review,topic\n"one,a\ntwo\n', "cannot be read as CSV after row"),
        (b"review,topic\none,a\nto be, or not,b\n", "row 3 has 3 fields, the header 2: 'to be, or not,b'"),
        (b"review,topic,topic\none,a,b\n", "more than one column 'topic'"),
    ],
)
def test_a_bad_csv_is_refused_with_file_and_row(tmp_path, content, message):
    file = tmp_path / "texts.csv"
    file.write_bytes(content)
    with pytest.raises(BadInput) as raised:
        cleaned(file, tmp_path)
    assert (message.replace("%s", str(file))) in str(raised.value)


@pytest.mark.parametrize("name", ["gone.csv", "texts.xlsx", "empty-folder"])
def test_a_path_that_leads_nowhere_is_named(tmp_path, name):
    (tmp_path / "texts.xlsx").touch()
    (tmp_path / "empty-folder").mkdir()
    with pytest.raises(BadInput, match=name):
        cleaned(tmp_path / name, tmp_path)


def test_a_line_that_is_not_json_is_named(tmp_path):
    (tmp_path / "texts.jsonl").write_text('{"review": "a", "topic": "b"}\n{"review": \n')
    with pytest.raises(BadInput, match=r"line 2 is not JSON"):
        cleaned(tmp_path / "texts.jsonl", tmp_path)
    (tmp_path / "texts.jsonl").write_text("review,topic\n")
    with pytest.raises(BadInput, match="line 1 is not JSON"):
        cleaned(tmp_path / "texts.jsonl", tmp_path)


def test_any_name_of_a_file_is_that_file_alone(tmp_path):
    for name in ("a[1]?*.csv", "b::c.csv", "ab.csv"):
        rows = [(f"{text} {name}", label) for text, label in texts_and_labels(12)]
        assert len(cleaned(write_csv(tmp_path / name, rows), tmp_path).splits["train"].rows) == 12, name
    assert len(cleaned(tmp_path / "a[1]?*.csv", tmp_path).splits["train"].rows) == 12


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_the_mark_before_excels_utf_8_is_no_part_of_the_first_column(tmp_path, kind):
    rows = [{"review": f"text {i}", "topic": "ab"[i % 2]} for i in range(9)]
    text = "review,topic\n" + "".join(f"{row['review']},{row['topic']}\n" for row in rows)
    if kind == "jsonl":
        text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / f"texts.{kind}").write_text(text, encoding="utf-8-sig")
    assert cleaned(tmp_path / f"texts.{kind}", tmp_path).splits["train"].dataset[0]["text"] == "text 0"


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("review", [b"one", b"two"], "column 'review' (data.text_column) holds binary, not text"),
        ("review", [["one"], ["two"]], "column 'review' (data.text_column) holds"),
        ("topic", [{"x": "a"}, {"x": "b"}], "column 'topic' (data.label_column) holds"),
    ],
)
def test_columns_that_hold_no_text_are_refused(tmp_path, column, values, message):
    rows = {"review": ["one", "two"], "topic": ["a", "b"]} | {column: values}
    Dataset.from_dict(rows).to_parquet(tmp_path / "texts.parquet")
    with pytest.raises(BadInput) as raised:
        cleaned(tmp_path / "texts.parquet", tmp_path)
    assert message in str(raised.value)


@pytest.mark.parametrize("encoding", ["rot13", "base64", "undefined", "no-such", "nul\0"])
def test_what_is_no_encoding_of_text_is_named(tmp_path, encoding):
    with pytest.raises(BadInput, match="data.encoding: "):
        cleaned(write_csv(tmp_path / "texts.csv", texts_and_labels(12)), tmp_path, encoding=encoding)


def test_a_folder_or_a_dangling_link_in_the_place_of_a_split_is_named(tmp_path):
    (tmp_path / "train.csv").mkdir()
    with pytest.raises(BadInput, match=r"train.csv is not a file"):
        cleaned(tmp_path, tmp_path)
    (tmp_path / "train.csv").rmdir()
    (tmp_path / "train.csv").symlink_to(tmp_path / "gone.csv")
    with pytest.raises(BadInput, match=r"train.csv is not a file"):
        cleaned(tmp_path, tmp_path)


def test_labels_that_only_look_like_numbers_are_names(tmp_path):
    rows = [(f"text {i}", ["²", "1", "--1", "9" * 5000][i % 4]) for i in range(12)]
    assert cleaned(write_csv(tmp_path / "texts.csv", rows), tmp_path).label_names == ["--1", "1", "9" * 5000, "²"]


def test_other_encodings_are_read_when_named(tmp_path):
    (tmp_path / "texts.csv").write_bytes(
        b"review,topic\n" + "".join(f"café {i},{'ab'[i % 2]}\n" for i in range(9)).encode("latin-1")
    )
    result = cleaned(tmp_path / "texts.csv", tmp_path, encoding="latin-1")
    assert result.splits["train"].dataset[0]["text"] == "café 0"


def test_empty_rows_can_be_dropped_and_are_counted(tmp_path):
    file = write_csv(tmp_path / "texts.csv", [*texts_and_labels(12), ("", "sport"), (" ", "sport")])
    result = cleaned(file, tmp_path, empty_texts="drop")
    assert result.dropped["train"]["empty"] == 2 and len(result.splits["train"].rows) == 12


def test_training_rows_without_a_label_are_texts_without_labels(tmp_path):
    rows = texts_and_labels(12)
    nameless = [
        ("first alone", ""),
        (rows[3][0].upper(), ""),
        ("second alone", " "),
        ("First  alone", ""),
        ("tested", ""),
    ]
    write_csv(tmp_path / "train.csv", [*nameless, *rows])
    write_csv(tmp_path / "test.csv", [("tested", "sport"), ("a further test", "cooking"), ("unknown", "")])
    result = cleaned(tmp_path, tmp_path, empty_texts="drop")
    assert result.nameless.tolist() == [0, 2]  # not those that are also in train with a label, or in test
    assert result.splits["train"].rows.tolist() == list(range(5, 17)) and result.dropped["train"]["empty"] == 0
    assert len(result.splits["test"].rows) == 2 and result.dropped["test"]["empty"] == 1
    with pytest.raises(BadInput, match="1 of 3 rows have no text or no label.*data.empty_texts: drop"):
        cleaned(tmp_path, tmp_path)


def test_no_test_text_is_left_in_train_and_duplicates_go(tmp_path):
    rows = texts_and_labels(30)
    write_csv(tmp_path / "train.csv", [*rows, rows[0], (rows[1][0], rows[2][1])])
    write_csv(tmp_path / "test.csv", [(rows[4][0].upper() + "  ", rows[4][1]), *texts_and_labels(9, seed=1)])
    result = cleaned(tmp_path, tmp_path)
    assert result.dropped["train"] == {"empty": 0, "duplicate": 2, "duplicate with another label": 1}
    texts = {name: set(split.dataset[split.rows.tolist()]["text"]) for name, split in result.splits.items()}
    assert not {text.casefold().strip() for text in texts["test"]} & {
        text.casefold().strip() for text in texts["train"]
    }


def test_labels_that_train_lacks_are_refused(tmp_path):
    write_csv(tmp_path / "train.csv", texts_and_labels(30))
    write_csv(tmp_path / "test.csv", [("one", "sport"), ("two", "politics")])
    with pytest.raises(BadInput, match=r"labels that train lacks: politics \(first at .*test.csv row 3\)"):
        cleaned(tmp_path, tmp_path, unseen_labels="error")


def test_labels_that_train_lacks_count_as_missed_and_are_named(tmp_path):
    write_csv(tmp_path / "train.csv", texts_and_labels(30))
    write_csv(tmp_path / "validation.csv", [("four", "sport"), ("five", "politics")])
    write_csv(tmp_path / "test.csv", [("one", "sport"), ("two", "politics"), ("three", "art")])
    result = cleaned(tmp_path, tmp_path)
    assert result.label_names == ["cooking", "sport", "weather"] and result.unseen == ["art", "politics"]
    assert result.splits["test"].labels.tolist() == [1, 4, 3]
    assert result.splits["validation"].labels.tolist() == [1]
    assert result.dropped["validation"]["label not in train"] == 1
    card = data_card(result.splits, result.label_names, result.unseen, result.dropped, 0, 0)
    assert card["labels_not_in_train"] == ["art", "politics"] and card["splits"]["test"]["labels"]["art"] == 1


def texts_of(splits):
    return {name: set(split.dataset[split.rows.tolist()]["text"]) for name, split in splits.items()}


def test_splits_are_disjoint_of_the_set_size_and_the_same_bytes_each_time(tmp_path):
    file = write_csv(tmp_path / "texts.csv", texts_and_labels(3000))
    result = cleaned(file, tmp_path)
    first, second = (complete(result.splits, DATA, seed=5) for _ in range(2))
    rows = np.concatenate([split.rows for split in first.values()])
    assert sorted(rows) == list(range(3000))
    assert abs(len(first["test"].rows) - 600) < 70 and abs(len(first["validation"].rows) - 300) < 50
    assert texts_of(complete(result.splits, DATA, seed=6))["test"] != texts_of(first)["test"]
    for name, splits in (("a", first), ("b", second)):
        write_split(splits["train"], result.label_names, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    back = read_split(tmp_path / "a")
    assert label_names(back) == result.label_names and (labels_of(back) == first["train"].labels).all()
    card = data_card(first, result.label_names, [], result.dropped, 0, 0)
    assert sum(json.loads(json.dumps(card))["splits"]["test"]["labels"].values()) == len(first["test"].rows)


def test_a_text_that_was_learnt_from_is_never_tested_on_after_rows_were_added(tmp_path):
    rows = texts_and_labels(400)
    before = texts_of(complete(cleaned(write_csv(tmp_path / "a.csv", rows), tmp_path).splits, DATA, seed=1))
    more = [*texts_and_labels(150, seed=9), *rows]
    after = texts_of(complete(cleaned(write_csv(tmp_path / "b.csv", more), tmp_path / "b").splits, DATA, seed=1))
    assert all(before[name] <= after[name] for name in before)


def test_every_class_keeps_a_text_in_train_and_where_it_has_two_in_test(tmp_path):
    rows = [(f"text {i} of {size}", f"class of {size}") for size in (1, 2, 3, 5, 40) for i in range(size)]
    result = cleaned(write_csv(tmp_path / "texts.csv", rows), tmp_path)
    for seed in range(20):
        counts = {
            name: dict(zip(result.label_names, np.bincount(split.labels, minlength=5).tolist(), strict=True))
            for name, split in complete(result.splits, DATA, seed).items()
        }
        assert all(counts["train"].values())
        assert [name for name, count in counts["test"].items() if not count] == ["class of 1"]
        assert counts["validation"]["class of 40"]


def test_few_labels_are_drawn_by_the_text_and_the_others_lose_theirs(tmp_path):
    rows = texts_and_labels(600)
    result = cleaned(write_csv(tmp_path / "a.csv", rows), tmp_path)
    splits = complete(result.splits, DATA, seed=1)
    few, nameless = few_labels(splits, 8, seed=1)
    labelled = np.concatenate([few[name].labels for name in ("train", "validation")])
    assert np.bincount(labelled).tolist() == [8, 8, 8] and len(np.unique(few["validation"].labels)) == 3
    assert texts_of(few)["test"] == texts_of(splits)["test"]
    lost = set().union(*(set(part.dataset[part.rows.tolist()]["text"]) for part in nameless))
    named = texts_of(few)
    assert not lost & (named["train"] | named["validation"] | named["test"]) and len(lost) + 24 == 600 - len(
        named["test"]
    )
    more = [*texts_and_labels(30, seed=9), *rows]
    again = complete(cleaned(write_csv(tmp_path / "b.csv", more), tmp_path / "b").splits, DATA, seed=1)
    kept = texts_of(few_labels(again, 8, seed=1)[0])
    assert len((kept["train"] | kept["validation"]) & (named["train"] | named["validation"])) >= 20  # of 24
    assert few_labels(splits, None, seed=1) == (splits, [])


def test_validation_texts_that_are_too_few_to_select_by_are_trained_on(tmp_path):
    result = cleaned(write_csv(tmp_path / "a.csv", texts_and_labels(600)), tmp_path)
    splits = few_labels(complete(result.splits, DATA, seed=1), 8, seed=1)[0]
    whole = train_on_all(splits, 100)
    assert texts_of(whole)["train"] == texts_of(splits)["train"] | texts_of(splits)["validation"]
    assert len(whole["train"].rows) == 24 and not len(whole["validation"].rows)
    assert np.bincount(whole["train"].labels).tolist() == [8, 8, 8] and (np.diff(whole["train"].rows) > 0).all()
    write_split(whole["validation"], result.label_names, tmp_path / "empty.arrow")
    empty = read_split(tmp_path / "empty.arrow")
    assert len(empty) == 0 and label_names(empty) == result.label_names
    # A user's own validation texts stay, and so do 100 or more.
    own = {
        "train": splits["train"],
        "validation": Split(splits["train"].dataset.select(range(30)), *[np.arange(9)] * 2),
    }
    assert train_on_all(own, 500) is own
    many = {"train": splits["train"], "validation": Split(splits["train"].dataset, *[np.arange(MIN_TEXTS)] * 2)}
    assert train_on_all(many, 500) is many
    assert train_on_all(splits, 99) is splits  # nothing could be held out instead


def test_a_tenth_of_the_texts_without_labels_are_held_out_and_at_most_100():
    parts = [(Dataset.from_dict({"text": ["a"] * count}), np.arange(count)) for count in (300, 0, 200)]
    left, held = hold_out(parts, seed=3)
    assert sum(len(rows) for _, rows in held) == 50
    for (_, rows), (_, some), (_, others) in zip(parts, left, held, strict=True):
        assert sorted([*some, *others]) == list(rows)
    again, _ = hold_out(parts, seed=3)
    assert all((one == other).all() for (_, one), (_, other) in zip(left, again, strict=True))
    many = [(Dataset.from_dict({"text": ["a"] * 5000}), np.arange(5000))]
    assert len(hold_out(many, seed=3)[1][0][1]) == 100
    assert hold_out([], seed=3) == ([], [])


def test_classes_that_look_the_same_are_told_and_kept_apart():
    names = ["Sport", "sport", "caf\u00e9", "cafe\u0301", "news", "ne\u200bws", "nul\x00", "nul", "other"]
    assert similar_names(names) == [
        ("Sport", "sport"),
        ("caf\u00e9", "cafe\u0301"),
        ("news", "ne\u200bws"),
        ("nul\x00", "nul"),
    ]


def test_too_few_rows_to_split_is_said(tmp_path):
    rows = [(f"text {i}", f"class {i}") for i in range(5)]
    result = cleaned(write_csv(tmp_path / "texts.csv", rows), tmp_path)
    with pytest.raises(BadInput, match="too few to split off test"):
        complete(result.splits, settings(tmp_path), seed=0)


def test_the_same_texts_give_the_same_vocabulary_in_every_process():
    code = "from material import texts_and_labels; from stillhouse.data.vocabulary import learn_vocabulary as learn\n"
    code += "from stillhouse.params import Vocabulary\n"
    code += "texts = [text for text, _ in texts_and_labels(200)]\n"
    code += "print(learn(texts, Vocabulary(pieces=150, min_frequency=1, lowercase=True)).to_str())"
    runs = [
        subprocess.run([sys.executable, "-c", code], cwd=ROOT / "tests", capture_output=True, text=True)
        for _ in range(3)
    ]
    assert len({run.stdout for run in runs}) == 1 and runs[0].stdout.startswith("{")


def test_labels_are_those_of_the_selected_rows():
    whole = Dataset.from_dict({"text": list("abcd"), "label": [3, 2, 1, 0]})
    assert labels_of(whole.select([2, 0])).tolist() == [1, 3] and labels_of(whole.select([])).tolist() == []


def test_all_labels_of_own_data_are_used_and_few_of_the_sample(tmp_path):
    assert settings(tmp_path, labels_per_class="auto").label_limit is None
    assert settings(tmp_path, labels_per_class="auto", source="sample").label_limit == 16
    assert settings(tmp_path, labels_per_class=5).label_limit == 5
    assert load_params(ROOT / "params.yaml").data.label_limit == 16


@pytest.mark.parametrize("values", [{"delimiter": ";;"}, {"quoting": "all"}, {"escape": "no"}, {"delimiter": '"'}])
def test_a_format_that_no_table_has_is_refused(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        Data.model_validate(DATA.model_dump() | values)


def test_a_test_split_of_which_no_label_is_known_is_refused(tmp_path):
    write_csv(tmp_path / "train.csv", [(text, f"{n % 2}.0") for n, (text, _) in enumerate(texts_and_labels(30))])
    write_csv(tmp_path / "test.csv", [("one", "0"), ("two", "1")])
    with pytest.raises(
        BadInput, match=r"test.csv has no label of train. Its labels: 0, 1. Labels of train: 0.0, 1.0. The num"
    ):
        cleaned(tmp_path, tmp_path)


@pytest.mark.parametrize("label", ['{"choices": ["a", "b"]}', '["a", "b"]', "['a', 'b']"])
def test_several_labels_of_one_text_are_refused_with_their_row(tmp_path, label):
    rows = pd.DataFrame(texts_and_labels(12), columns=["review", "topic"])
    rows.loc[4, "topic"] = label
    rows.to_csv(tmp_path / "texts.csv", index=False)
    with pytest.raises(BadInput, match=r"texts.csv row 6: the label .* is not one label. .*multi-label"):
        cleaned(tmp_path / "texts.csv", tmp_path)


def test_classes_that_are_others_joined_are_named():
    assert combined_names(["a|b", "a", "b", "c, d", "c", "x;a"]) == [("a|b", "|")]


FRAME = pd.DataFrame([(text, label) for text, label in texts_and_labels(30)], columns=["review", "topic"])


def spark_folder(folder: Path) -> Path:
    """As Spark writes: parts, a mark and checksums."""
    made = folder / "texts.parquet"
    made.mkdir()
    for part, rows in enumerate((FRAME[:20], FRAME[20:])):
        rows.to_parquet(made / f"part-0000{part}-x.snappy.parquet")
    (made / "_SUCCESS").touch()
    (made / ".part-00000-x.snappy.parquet.crc").write_bytes(b"crc")
    return made


def hive_folder(folder: Path) -> Path:
    """Partitions by a column, here the label, that is in no file."""
    made = folder / "hive"
    for label, rows in FRAME.groupby("topic"):
        (made / f"topic={label}").mkdir(parents=True)
        rows[["review"]].to_parquet(made / f"topic={label}" / "part-0.parquet")
    return made


def spark_csv_folder(folder: Path) -> Path:
    made = folder / "texts.csv"
    made.mkdir()
    for part, rows in enumerate((FRAME[:20], FRAME[20:])):
        rows.to_csv(made / f"part-0000{part}-x.csv", index=False)
    (made / "_SUCCESS").touch()
    return made


def saved_folder(folder: Path) -> Path:
    Dataset.from_pandas(FRAME, preserve_index=False).save_to_disk(folder / "saved")
    return folder / "saved"


def saved_splits(folder: Path) -> Path:
    whole = Dataset.from_pandas(FRAME, preserve_index=False)
    DatasetDict({"train": whole, "test": whole.select(range(6))}).save_to_disk(folder / "saved")
    return folder / "saved"


@pytest.mark.parametrize("write", [spark_folder, hive_folder, spark_csv_folder, saved_folder, saved_splits])
def test_folders_of_parts_are_tables(tmp_path, write):
    source = load_source(settings(write(tmp_path)), tmp_path / "cache")
    rows = source.splits["train"].to_pandas()
    expected = FRAME.sort_values("topic", kind="stable") if write is hive_folder else FRAME
    assert rows.to_numpy().tolist() == expected.to_numpy().tolist()
    assert ("test" in source.splits) == (write is saved_splits)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        (pa.array(["a", "b"], pa.string_view()), ["a", "b"]),
        (pa.array(["a", "b"], pa.large_string()), ["a", "b"]),
        (pa.array([1.0, 0.5]), ["1", "0.5"]),
        (pa.array([Decimal("1.00"), Decimal("2.50")]), ["1", "2.50"]),
        (pa.array([True, None]), ["True", None]),
    ],
)
def test_labels_of_any_plain_type_are_names(tmp_path, labels, expected):
    pq.write_table(pa.table({"review": ["x", "y"], "topic": labels}), tmp_path / "texts.parquet")
    rows = load_source(settings(tmp_path / "texts.parquet"), tmp_path / "cache").splits["train"]
    assert rows[:]["label"] == expected


def test_lists_of_labels_are_refused(tmp_path):
    pq.write_table(pa.table({"review": ["x"], "topic": [["a", "b"]]}), tmp_path / "texts.parquet")
    with pytest.raises(BadInput, match=r"holds list<.*>, not one label. .*multi-label"):
        load_source(settings(tmp_path / "texts.parquet"), tmp_path / "cache")


def test_class_names_with_spaces_and_labels_after_empty_ones_of_a_hub_dataset_count(tmp_path):
    features = Features({"review": Value("string"), "topic": ClassLabel(names=[" zebra", "ant "])})
    for split in ("train", "test"):
        labels = [-1] * 150 + [0, 1] * 10
        made = Dataset.from_dict({"review": [f"{split} {n}" for n in range(170)], "topic": labels}, features)
        made.to_parquet(tmp_path / "hub" / f"{split}-00000-of-00001.parquet")
    data = DATA.model_copy(update={"source": "hub", "hub_id": str(tmp_path / "hub"), "empty_texts": "drop"})
    result = clean(load_source(data, tmp_path / "cache"), data)
    assert result.label_names == ["zebra", "ant"] and len(result.splits["test"].rows) == 20


def test_how_a_file_was_read_is_in_the_log_and_in_the_card(tmp_path, caplog):
    caplog.set_level("INFO")
    file = tmp_path / "texts.csv"
    FRAME.to_csv(file, index=False, sep=";", encoding="utf-16")
    source = load_source(settings(file), tmp_path / "cache")
    assert f"{file}: delimiter ';', UTF-16, quoting minimal, 30 rows" in caplog.text
    assert source.formats == {"train": {"delimiter": ";", "encoding": "UTF-16", "quoting": "minimal"}}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_blank_lines_before_the_header_are_no_header(tmp_path, end):
    file = tmp_path / "texts.csv"
    file.write_bytes(end.join(["", "", "review,topic", "a text,b", "c text,d", ""]).encode())
    source = load_source(settings(file), tmp_path / "cache")
    assert source.splits["train"]["text"][:] == ["a text", "c text"] and source.row("train", 1).endswith("row 5")


def test_parts_that_differ_in_types_are_named(tmp_path):
    folder = tmp_path / "texts.parquet"
    folder.mkdir()
    for number, labels in enumerate(([1, 2], ["a", "b"])):
        pd.DataFrame({"review": ["one", "two"], "topic": labels}).to_parquet(folder / f"part-{number}.parquet")
    with pytest.raises(BadInput, match="its parts differ.*topic"):
        load_source(settings(folder), tmp_path / "cache")
