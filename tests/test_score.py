"""Labelling what a user has: a table by flows/score.py, lines by stillhouse.predict."""

import json
import re

import pandas as pd
import pytest
from material import texts_and_labels

from flows.shared.scoring import check
from stillhouse.data.readers import Wanted
from stillhouse.errors import BadInput
from stillhouse.params import Format

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


@pytest.mark.parametrize(
    ("source", "target", "column", "message"),
    [
        ("no.csv", "out.csv", "text", "no.csv does not exist"),
        ("in.csv", "out.csv", "text", "has no column 'text' (--text-column). It has: 'review', 'topic'"),
        ("in.csv", "out.json", "review", "out.json is of an unknown kind"),
        ("in.csv", "no/out.csv", "review", "no folder that you may write to"),
        ("taken.csv", "out.csv", "text", "has a column 'label' already"),
        ("header.csv", "out.csv", "text", "has columns but no rows"),
        ("latin.csv", "out.csv", "text", "line 2: byte 0xe9 is not utf-8. Set --encoding: cp1252"),
        ("numbers.parquet", "out.csv", "text", "column 'text' (--text-column) holds int64, not text"),
        ("open.csv", "out.csv", "text", "Is a quote left open?"),
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
        check(tmp_path / source, tmp_path / target, Wanted({"text_column": column}, Format(), "--"), 10)


def test_a_mistake_ends_the_flow_with_its_message(finished):
    arguments = ["data/reviews.csv", "out.csv", "--text-column", "review", "--alias", "none"]
    done = finished.python("-m", "flows.score", *arguments)
    assert done.returncode == 1 and "\nThe registry has no model 'topics' with the alias @none" in done.stdout
    assert "Traceback" not in done.stdout and not (finished.folder / "out.csv").exists()


def test_lines_are_answered_in_order_from_a_file_and_from_standard_input(finished, tmp_path):
    file = tmp_path / "lines.txt"
    file.write_text("goal match team\n\nflour butter\u2028 oven\nrain wind storm", encoding="utf-8")
    model = "outputs/compress/model"
    done = finished.python("-m", "stillhouse.predict", model, str(file))
    assert done.returncode == 0, done.stdout
    labels = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert len(labels) == 4 and labels[0] == "sport" and labels[2:] == ["cooking", "weather"]
    piped = finished.run("sh", "-c", f"python -m stillhouse.predict models:/topics@champion < {file}")
    assert piped.stdout.splitlines()[-4:] == done.stdout.splitlines(), piped.stdout
    file.unlink()
    missing = finished.python("-m", "stillhouse.predict", model, "nofile.txt")
    assert missing.returncode == 1 and missing.stdout.strip() == "nofile.txt cannot be read: No such file or directory."
    wrong = finished.python("-m", "stillhouse.predict", model, str(file))
    assert wrong.returncode == 1 and "No such file" in wrong.stdout and "Traceback" not in wrong.stdout
