"""``make gpu`` in its small form on a CPU: every part is reported, and cuts are."""

import json
import os
import subprocess
import sys
import zipfile

import pytest
from material import texts_and_labels, tiny_teacher
from project import ROOT

from benchmarks.gpu import bare
from benchmarks.gpu.page import NO_GPU, page
from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.record import Record

TITLES = [part.title for part in PARTS]
CUT = "teacher-fp32"
MACHINE = {"device": "cuda, NVIDIA H100", "type": "cuda", "small": False, "memory_gib": 79.6, "cuda": "13.0"}
MACHINE |= {"processor": "16 cores", "torch": "2.11.0", "transformers": "5.17.0", "python": "3.12.3"}


def command(folder):
    """``make gpu`` with a tiny teacher and 200 short texts."""
    tiny_teacher(folder / "teacher")
    rows = [json.dumps({"text": text, "label": label}) for text, label in texts_and_labels(200)]
    (folder / "texts.jsonl").write_text("\n".join(rows))
    options = ["--teacher", str(folder / "teacher"), "--texts", str(folder / "texts.jsonl")]
    return [sys.executable, "-m", "benchmarks.gpu", *options]


def environment(**variables):
    return {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", **variables}


def test_every_part_is_reported_and_what_takes_too_long_is_cut(tmp_path):
    out = tmp_path / "out"
    words = [
        *command(tmp_path),
        "--folder",
        str(tmp_path / "results"),
        "--start",
        "forkserver",
        "--budget",
        f"{CUT}=0.3",
    ]
    done = subprocess.run(
        words, cwd=ROOT, env=environment(OUT=str(out)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    text = (tmp_path / "results" / "GPU.md").read_text()
    assert done.returncode == 0, done.stdout
    assert text.splitlines()[0] == f"# {NO_GPU}" and [title for title in TITLES if f"\n## {title}\n" not in text] == []
    lines = Record(tmp_path / "results" / "gpu.jsonl").lines()
    states = {line["part"]: line["state"] for line in lines if "state" in line}
    assert states == {part.name: "cut" if part.name == CUT else "done" for part in PARTS}
    assert "**Cut** after" in text and not (tmp_path / "results" / "work").exists()
    assert {file.name for file in out.iterdir()} == {"GPU.md", "gpu.jsonl", "gpu.log"}
    assert (out / "GPU.md").read_text() == text
    rows = {part.name: [line["row"] for line in lines if line["part"] == part.name and "row" in line] for part in PARTS}
    assert [row["outcome"] for row in rows["soft-labels"]] == ["as requested"] * 4
    assert rows["out-of-memory"][0]["became smaller"] == "yes"
    assert rows["resume-student"][0]["went on with epoch"] == 3 and rows["resume-student"][0]["difference"] < 1e-6
    assert rows["resume-teacher"][0]["difference"] < 1e-4
    first, second = rows["waiting"]
    assert first["to, s"] <= second["trained from, s"] and second["logged that it waits"] == "yes"


def test_a_record_whose_last_line_is_cut_keeps_what_was_measured(tmp_path):
    record = Record(tmp_path / "gpu.jsonl")
    record.begin()
    record.add("ceilings", row={"measure": "bf16 product, 512 x 512", "TFLOPS": 1.5})
    with record.file.open("a") as file:
        file.write('{"part": "ceilings", "ro')  # as a kill leaves it
    text = page(record)
    assert "| bf16 product, 512 x 512 |" in text and "**Not run**: the run ended before." in text


def test_a_page_names_the_gpu(tmp_path):
    record = Record(tmp_path / "gpu.jsonl")
    record.begin()
    assert page(record).startswith(f"# {NO_GPU}\n")
    record.add("ceilings", machine=MACHINE)
    record.add("ceilings", row={"measure": "copy", "GB/s": 2345.6, "note": None})
    record.add("student", state="failed", why="RuntimeError: CUDA error\nmore", seconds=3.2)
    text = page(record)
    assert text.startswith("# On a GPU: NVIDIA H100\n") and NO_GPU not in text
    assert "| copy | 2,346 |  |" in text and "**Failed** after 3 s: RuntimeError: CUDA error more." in text


def test_missing_libraries_come_from_carried_wheels(tmp_path, monkeypatch):
    monkeypatch.setattr(bare, "NEEDED", ("library_that_is_carried",))
    monkeypatch.setattr(bare, "WHEELS", tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("PYTHONPATH", "before")
    with pytest.raises(SystemExit, match=r"library_that_is_carried: not installed.*make gpu-wheels"):
        bare.libraries()
    with zipfile.ZipFile(tmp_path / "library_that_is_carried-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("library_that_is_carried/__init__.py", "VALUE = 7")
    bare.libraries()
    assert __import__("library_that_is_carried").VALUE == 7
    assert os.environ["PYTHONPATH"] == f"{sys.path[0]}{os.pathsep}before"
