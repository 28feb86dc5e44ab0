"""Labelling what a user has: a table by flows/score.py, lines by stillhouse predict."""

import json
import os
import re
import subprocess
import sys
from contextlib import closing

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from material import texts_and_labels
from project import ROOT

from flows.shared.scoring import check, lock_target
from stillhouse.data.readers import Wanted, open_table
from stillhouse.data.writers import open_writer
from stillhouse.errors import BadInput
from stillhouse.params import Format

DETECTED = Format(**dict.fromkeys(Format.model_fields, "auto"))
WANTED = Wanted({"text_column": "text"}, DETECTED, "--")
ROWS = [text for text, _ in texts_and_labels(90, seed=5)]


def test_a_table_is_labelled_by_the_champion_and_its_version_is_recorded(project):
    table = pd.DataFrame({"id": [f"{n:03d}" for n in range(90)], "body, raw": ROWS})
    table.loc[4, "body, raw"] = 'a "quoted" goal,\nand a second line of the match'
    table.loc[7, "body, raw"] += " " * 3_000_000 + "x"  # more than a reader takes at once
    table.to_csv(project.folder / "in.csv", index=False, encoding="utf-8-sig")  # as Excel writes it
    (project.folder / ".out.parquet.parts").mkdir()
    (project.folder / ".out.parquet.parts" / "work.json").write_text('{"source_md5": "cut sh')
    done = project.python("-m", "flows.score", "in.csv", "out.parquet", "--text-column", "body, raw", "--chunk", "40")
    assert done.returncode == 0 and "90 rows labelled by topics version 1" in done.stdout, done.stdout
    scored = pd.read_parquet(project.folder / "out.parquet")
    pd.testing.assert_frame_equal(scored[list(table)], table, check_dtype=False)
    truth = [label for _, label in texts_and_labels(90, seed=5)]
    assert (scored["label"] == truth).mean() > 0.9 and scored["probability"].between(0.3, 1).all()
    receipt = json.loads((project.folder / "out.parquet.json").read_text())
    assert receipt["model"] == "topics" and receipt["version"] == 1 and receipt["rows"] == 90
    assert not list(project.folder.glob(".out*"))  # no finished chunk is left


def test_a_stopped_run_goes_on_and_finished_chunks_are_not_done_again(project):
    pd.DataFrame({"text": ROWS}).to_parquet(project.folder / "in.parquet")
    stop = "import flows.score as s; import sys\n"
    stop += "def stopped(parts, target): sorted(parts.glob('*.parquet'))[1].unlink(); sys.exit('stopped')\n"
    stop += "s._join = stopped; s.score('in.parquet', 'out.csv', chunk=30)"
    assert project.python("-c", stop).returncode != 0 and not (project.folder / "out.csv").exists()
    done = project.python("-m", "flows.score", "in.parquet", "out.csv", "--chunk", "30")
    assert done.returncode == 0, done.stdout
    receipt = json.loads((project.folder / "out.csv.json").read_text())
    assert receipt["chunks_resumed"] == 2 and list(pd.read_csv(project.folder / "out.csv")["text"]) == ROWS


def test_a_folder_is_labelled_into_a_folder_with_a_receipt(project):
    (project.folder / "in" / "day=1").mkdir(parents=True)
    pd.DataFrame({"text": ROWS[:60]}).to_parquet(project.folder / "in" / "day=1" / "a.parquet")
    pd.DataFrame({"text": ROWS[60:]}).to_parquet(project.folder / "in" / "b.parquet")
    done = project.python("-m", "flows.score", "in", "out/", STILLHOUSE_PROGRESS_S="0")
    assert done.returncode == 0 and "90 rows labelled by topics version 1" in done.stdout, done.stdout
    assert "block 1 of 2: " in done.stdout and "block 2 of 2: 90 rows labelled" in done.stdout, done.stdout
    receipt = json.loads((project.folder / "out" / "_stillhouse" / "receipt.json").read_text())
    assert receipt["rows"] == 90 and receipt["version"] == 1 and receipt["blocks_resumed"] == 0
    assert list(pd.read_parquet(project.folder / "out" / "b.parquet")) == ["text", "label", "probability", "deferred"]
    refused = project.python("-m", "flows.score", "in", "out/", "--audit", "0.1")
    assert refused.returncode == 1 and "need a file to write, but out/ is a folder" in refused.stdout, refused.stdout


@pytest.mark.parametrize(
    ("source", "target", "column", "message"),
    [
        ("no.csv", "out.csv", "text", "no.csv does not exist"),
        ("in.csv", "out.csv", "text", "has no column 'text' (--text-column). It has: 'review', 'topic'"),
        ("in.csv", "out.json", "review", "out.json is of an unknown kind"),
        ("in.csv", "no/out.csv", "review", "does not exist. Make it"),
        ("taken.csv", "out.csv", "text", "has a column 'label' already"),
        ("header.csv", "out.csv", "text", "has columns but no rows"),
        ("latin.csv", "out.csv", "text", "line 2: byte 0xe9 is not utf-8. Set --encoding cp1252"),
        ("numbers.parquet", "out.csv", "text", "column 'text' (--text-column) holds int64, not text"),
        ("open.csv", "out.csv", "text", "Is a quote not closed?"),
        ("ragged.csv", "out.csv", "text", "row 2 has 2 fields, the header 1"),
        ("in.csv", "in.csv", "review", "is the table to label, which would be lost"),
        ("in.csv", "folder.csv", "review", "is a folder"),
    ],
)
def test_a_table_that_cannot_be_labelled_is_refused_at_the_start(tmp_path, source, target, column, message):
    (tmp_path / "in.csv").write_text("review,topic\ngoal,sport\n")
    (tmp_path / "taken.csv").write_text("text,label\ngoal,sport\n")
    (tmp_path / "header.csv").write_text("text\n")
    (tmp_path / "latin.csv").write_bytes("text\nd\u00e9j\u00e0 vu\n".encode("latin-1"))
    pd.DataFrame({"text": [1]}).to_parquet(tmp_path / "numbers.parquet")
    (tmp_path / "open.csv").write_text('id,text\n1,"rain\n2,wind,3\n')
    (tmp_path / "ragged.csv").write_text("text\nrain, and wind\n")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(BadInput, match=re.escape(message)):
        check(tmp_path / source, tmp_path / target, Wanted({"text_column": column}, DETECTED, "--"))


def columns(**values):
    return pa.table({"text": ["goal"], **values})


@pytest.mark.parametrize(
    ("values", "target", "told"),
    [
        ({"tags": [["a"]]}, "out.csv", "cannot hold the column 'tags' (list<"),
        ({"who": [{"name": "a"}]}, "out.tsv", "cannot hold the column 'who' (struct<"),
        ({"raw": [b"a"]}, "out.csv", "cannot hold the column 'raw' (binary). Write Parquet"),
        ({"raw": [[b"a"]]}, "out.jsonl", "cannot hold the column 'raw' (list<"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is_labelled(tmp_path, values, target, told):
    pq.write_table(columns(**values), tmp_path / "in.parquet")
    with pytest.raises(BadInput, match=re.escape(told)):
        check(tmp_path / "in.parquet", tmp_path / target, WANTED)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_what_is_written_reads_back_as_it_was(tmp_path, suffix):
    rows = ['a "b"', "c\nd\r\ne\r", "f\t,;\u2028", "", "\\N \\", '"', "g"]
    file = tmp_path / f"out{suffix}"
    table = pa.table({"text": rows, "n": range(7)})
    with closing(open_writer(file, file, table.schema)) as writer:
        writer.write_table(table)
    read = [row for batch in open_table(file, WANTED).batches(["text"]) for row in batch.column(0).to_pylist()]
    assert read == rows


def test_json_lines_keep_their_objects(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": "goal", "tags": ["a"], "n": 1.10}\n\n{"text": null}\n')
    with pytest.raises(BadInput, match=re.escape("lists and objects in")):
        check(tmp_path / "in.jsonl", tmp_path / "out.csv", WANTED)
    table, schema = check(tmp_path / "in.jsonl", tmp_path / "out.jsonl", WANTED)
    added = pa.Table.from_batches(table.batches(schema.names)).append_column("label", pa.array(["x", "y"]))
    with closing(open_writer(tmp_path / "out.jsonl", tmp_path / "out.jsonl", added.schema)) as writer:
        writer.write_table(added)
    assert (tmp_path / "out.jsonl").read_text() == (
        '{"text": "goal", "tags": ["a"], "n": 1.10, "label": "x"}\n{"text": null, "label": "y"}\n'
    )


def test_two_runs_do_not_write_one_file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with lock_target(str(tmp_path / "out.csv")):
        with (
            pytest.raises(BadInput, match="out.csv is being written by another score run"),
            lock_target(str(tmp_path / "out.csv")),
        ):
            pass
        with lock_target(str(tmp_path / "other.csv")):
            pass
    with lock_target(str(tmp_path / "out.csv")):
        pass


def test_outside_of_a_project_score_says_what_it_needs_and_leaves_nothing(tmp_path):
    (tmp_path / "in.csv").write_text("text\ngoal\n")
    keys = ("PREFECT_API_URL", "PREFECT_HOME", "MLFLOW_TRACKING_URI")
    environment = {key: value for key, value in os.environ.items() if key not in keys} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "flows.score", "in.csv", "out.csv"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and "There is no params.yaml in" in done.stderr and "--model" in done.stderr, done
    assert "Traceback" not in done.stderr and [file.name for file in tmp_path.iterdir()] == ["in.csv"]


def test_a_mistake_ends_the_flow_with_its_message(finished):
    arguments = ["data/reviews.csv", "out.csv", "--text-column", "review", "--alias", "none"]
    done = finished.python("-m", "flows.score", *arguments)
    assert done.returncode == 1 and "\nThe registry has no model 'topics' with the alias @none" in done.stdout
    assert "Traceback" not in done.stdout and not (finished.folder / "out.csv").exists()


def test_lines_are_answered_in_order_from_a_file_and_from_standard_input(finished, tmp_path):
    file = tmp_path / "lines.txt"
    file.write_text("goal match team\n\nflour butter\u2028 oven\nrain wind storm", encoding="utf-8")
    model = "outputs/compress/model"
    done = finished.python("-m", "stillhouse.serving.predict", model, str(file))
    assert done.returncode == 0, done.stdout
    labels = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert len(labels) == 4 and labels[0] == "sport" and labels[2:] == ["cooking", "weather"]
    piped = finished.run("sh", "-c", f"python -m stillhouse.serving.predict models:/topics@champion < {file}")
    assert piped.stdout.splitlines()[-4:] == done.stdout.splitlines(), piped.stdout
    file.unlink()
    missing = finished.python("-m", "stillhouse.serving.predict", model, "nofile.txt")
    assert missing.returncode == 1 and missing.stdout.strip() == "nofile.txt cannot be read: No such file or directory."
    wrong = finished.python("-m", "stillhouse.serving.predict", model, str(file))
    assert wrong.returncode == 1 and "No such file" in wrong.stdout and "Traceback" not in wrong.stdout
