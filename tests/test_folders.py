"""``score`` from folder to folder: what is written, what a rerun repeats, and what is refused."""

import re
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from material import texts_and_labels, tiny_model
from project import ROOT

from flows.shared.blocks import LEDGER, STATE, Work
from flows.shared.folders import claim, find_blocks, is_folder, open_folder, run_local, scale_of
from flows.shared.labeller import Labeller
from stillhouse.cluster import chosen_cluster
from stillhouse.data.readers import Wanted
from stillhouse.errors import BadInput
from stillhouse.params import Format, Scale
from stillhouse.serving import Classifier

WANTED = Wanted({"text_column": "text"}, Format(**dict.fromkeys(Format.model_fields, "auto")), "--")
TEXTS = [text for text, _ in texts_and_labels(90, seed=5)]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory) -> Classifier:
    return Classifier.load(tiny_model(tmp_path_factory.mktemp("model") / "model"))


def run(source, target, classifier, least=None) -> dict[str, bool]:
    """Label a folder with seven rows at a time; returns for each block whether it was done before."""
    source, target = open_folder(str(source)), open_folder(str(target))
    blocks = find_blocks(source, target, WANTED)
    claim(target)
    work = Work(source, target, Labeller(classifier, "text", least), {"model": "a", "min_confidence": least}, 7)
    notes = list(run_local(work, blocks))
    assert sum(note["rows"] for note in notes) == sum(block.rows for block in blocks)
    return {note["name"]: note["resumed"] for note in notes}


@pytest.fixture
def source(tmp_path):
    """Files of other columns each, in Hive's folders."""
    folder = tmp_path / "in"
    for day in (1, 2):
        (folder / f"day={day}").mkdir(parents=True)
    pq.write_table(pa.table({"text": TEXTS[:40], "id": range(40)}), folder / "day=1" / "a.parquet", row_group_size=15)
    pq.write_table(pa.table({"text": pa.array(TEXTS[40:]).dictionary_encode()}), folder / "day=2" / "b.parquet")
    pq.write_table(pa.table({"text": pa.array([None, ""]), "tags": [["x"], []]}), folder / "c.parquet")
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), folder / "empty.parquet")
    (folder / "_SUCCESS").touch()
    (folder / "notes.txt").write_text("not a table")
    return folder


def test_each_file_becomes_one_with_its_columns_and_the_answers(source, tmp_path, classifier):
    least = float(np.median(classifier.answer(TEXTS[:40]).probabilities))
    done = run(source, tmp_path / "out", classifier, least)
    files = ["c.parquet", "day=1/a.parquet", "day=2/b.parquet", "empty.parquet"]
    assert sorted(done) == files and not any(done.values())
    first = pq.read_table(tmp_path / "out" / "day=1" / "a.parquet", partitioning=None)
    assert first.column_names == ["text", "id", "label", "probability", "deferred"]
    assert first["text"].to_pylist() == TEXTS[:40] and first["id"].to_pylist() == list(range(40))
    expected = classifier.answer(TEXTS[:40], least)
    assert first["label"].to_pylist() == expected.labels.tolist() and sum(expected.deferred) == 20
    assert first["deferred"].to_pylist() == expected.deferred.tolist()
    assert first["probability"].to_pylist() == pytest.approx(expected.probabilities.tolist(), abs=1e-5)
    third = pq.read_table(tmp_path / "out" / "c.parquet")
    assert third["tags"].to_pylist() == [["x"], []] and third["label"].null_count == 0
    whole = pads.dataset(tmp_path / "out", partitioning="hive").to_table(columns=["text", "label", "day"])
    assert len(whole) == 92 and set(whole["day"].to_pylist()) == {None, 1, 2}  # the ledger is no part of the table
    assert not list((tmp_path / "out").rglob("*.partial"))


def test_a_rerun_repeats_only_what_changed_or_is_damaged(source, tmp_path, classifier):
    out = tmp_path / "out"
    run(source, out, classifier)
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*.parquet")}
    assert all(run(source, out, classifier).values())
    assert before == {file: file.stat().st_mtime_ns for file in out.rglob("*.parquet")}
    pq.write_table(pa.table({"text": TEXTS[:3]}), source / "c.parquet")
    with (out / "day=1" / "a.parquet").open("r+b") as file:
        file.write(b"XXXX")
    (out / "day=2" / "b.parquet").unlink()
    (out / LEDGER / "empty.parquet.json").write_text('{"cut sh')
    (out / ".c.parquet.0123.partial").write_text("left by a killed run")
    assert not any(run(source, out, classifier).values())
    assert all(run(source, out, classifier).values()) and not list(out.rglob("*.partial"))
    assert pq.read_table(out / "c.parquet").num_rows == 3
    assert not any(run(source, out, classifier, least=0.9).values())


def test_a_block_that_fails_leaves_no_file_and_the_others_stay(source, tmp_path, classifier):
    whole = (source / "day=1" / "a.parquet").read_bytes()
    (source / "day=1" / "a.parquet").write_bytes(whole[:40] + bytes(len(whole) // 3) + whole[40 + len(whole) // 3 :])
    with pytest.raises(BadInput, match=r"in/day=1/a.parquet could not be labelled into .*/out/day=1/a.parquet: "):
        run(source, tmp_path / "out", classifier)
    assert not list((tmp_path / "out" / "day=1").iterdir()) and not list((tmp_path / "out").rglob("*.partial"))
    (source / "day=1" / "a.parquet").write_bytes(whole)
    again = run(source, tmp_path / "out", classifier)
    assert again["c.parquet"] and not again["day=1/a.parquet"]  # c comes first, so it was complete


def test_a_store_without_folders_and_its_ledger(source, tmp_path, classifier):
    memory = fsspec.filesystem("memory")
    memory.put(str(source) + "/", "/bucket/in/", recursive=True)
    try:
        assert not any(run("memory://bucket/in", "memory://bucket/out", classifier).values())
        assert all(run("memory://bucket/in", "memory://bucket/out/", classifier).values())
        run(f"file://{source}", tmp_path / "out", classifier)
        assert memory.cat("/bucket/out/day=1/a.parquet") == (tmp_path / "out" / "day=1" / "a.parquet").read_bytes()
        with memory.open("/bucket/in/c.parquet", "wb") as file:
            pq.write_table(pa.table({"text": TEXTS[:5]}), file)
        again = run("memory://bucket/in", "memory://bucket/out", classifier)
        assert [name for name, resumed in again.items() if not resumed] == ["c.parquet"]
    finally:
        memory.rm("/bucket", recursive=True)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"body": ["a"]}, "in/day=1/a.parquet has no column 'text' (--text-column). It has: 'body'"),
        ({"text": [1]}, "in/day=1/a.parquet: column 'text' (--text-column) holds int64, not text"),
        ({"text": ["a"], "label": ["b"]}, "in/day=1/a.parquet has a column 'label' already"),
    ],
)
def test_a_file_that_cannot_be_labelled_is_named_before_anything_is_written(
    source, tmp_path, classifier, table, message
):
    pd.DataFrame(table).to_parquet(source / "day=1" / "a.parquet")
    with pytest.raises(BadInput, match=re.escape(message)):
        run(source, tmp_path / "out", classifier)
    assert not (tmp_path / "out").exists()


def test_a_partition_that_is_named_as_an_added_column_is_refused(source, tmp_path, classifier):
    (source / "day=1").rename(source / "label=1")
    with pytest.raises(BadInput, match="label=1/a.parquet has a column 'label' already"):
        run(source, tmp_path / "out", classifier)


def test_folders_that_cannot_be_read_or_written_are_refused(source, tmp_path, classifier):
    (tmp_path / "none").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.parquet").write_text("no table")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "c.parquet").write_bytes((source / "c.parquet").read_bytes())
    for read, write, message in (
        (tmp_path / "missing", tmp_path / "out", "missing does not exist"),
        (source / "c.parquet", tmp_path / "out", "c.parquet is a file, but"),
        (tmp_path / "none", tmp_path / "out", "none holds no Parquet file"),
        (tmp_path / "bad", tmp_path / "out", "bad/x.parquet cannot be read as Parquet"),
        (source, source / "out", "lie one in the other"),
        (source, source, "lie one in the other"),
        (source, tmp_path, "lie one in the other"),
        (source, foreign, "foreign/c.parquet was not written by score"),
        (source, "nowhere://x/y", "nowhere://x/y cannot be opened"),
    ):
        with pytest.raises(BadInput, match=re.escape(message)):
            run(read, write, classifier)
    assert pq.read_table(foreign / "c.parquet").column_names == ["text", "tags"]
    (tmp_path / "link").symlink_to(source)
    with pytest.raises(BadInput, match="lie one in the other"):
        run(tmp_path / "link", source / "out", classifier)


def test_a_store_whose_package_is_missing_is_named(monkeypatch):
    def missing(*_, **__):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("flows.shared.folders.url_to_fs", missing)
    with pytest.raises(BadInput, match=r"s3://b/x needs another package. Install s3fs to access S3"):
        open_folder("s3://b/x")


def test_what_is_a_folder():
    assert is_folder("in", "out") and is_folder("in", "v1.2/") and is_folder("s3://b/in", "s3://b/out")
    assert not is_folder("in", "out.csv")
    for source, target in (("s3://b/in", "out.csv"), ("in", "s3://b/out.parquet")):
        with pytest.raises(BadInput, match="is a file. With URIs"):
            is_folder(source, target)


def test_outputs_have_the_rights_of_other_files(source, tmp_path, classifier):
    run(source, tmp_path / "out", classifier)
    (tmp_path / "plain").touch()
    rights = [(tmp_path / name).stat().st_mode for name in ("plain", "out/c.parquet", f"out/{LEDGER}/c.parquet.json")]
    assert len(set(rights)) == 1 and (tmp_path / "out" / STATE / "README").exists()


def test_the_runner_is_that_of_the_option_or_of_params(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # outside of a project
    monkeypatch.setattr("stillhouse.cluster.find_spec", lambda name: name)  # as if Ray was installed
    assert scale_of("", "") == Scale(runner="local", address=None)
    assert scale_of("ray", "h:1") == Scale(runner="ray", address="h:1")
    for runner, address, message in (("dask", "", "--runner is 'dask'"), ("", "h:1", "add --runner ray")):
        with pytest.raises(BadInput, match=message):
            scale_of(runner, address)
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    Path("params.yaml").write_text(text.replace("runner: local ", "runner: ray "), encoding="utf-8")
    assert scale_of("", "").runner == "ray" and scale_of("local", "").runner == "local"
    monkeypatch.setattr("stillhouse.cluster.find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"pip install 'stillhouse\[ray\]'"):
        scale_of("ray", "")
    with pytest.raises(BadInput, match=r"pip install 'stillhouse\[ray\]'"):
        chosen_cluster(Scale(runner="ray", address=None), "cpu")
