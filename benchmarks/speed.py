"""``python -m benchmarks.speed [outputs ...]``: speed and size of the models on this machine, in one run.

It reads the ``outputs`` folders of finished pipelines. The models take turns on the same test texts, from text to
label: on whole texts, and on texts cut to 20 words. Then a cold start of the compressed student is timed, and its
predictions of 1, 10 and 100 times as many texts. The results are written to ``benchmarks/SPEED.md``.
"""

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.processes import child
from benchmarks.served import models
from stillhouse.data.splits import read_split
from stillhouse.evaluation.candidate import Candidate
from stillhouse.evaluation.report import as_markdown, machine
from stillhouse.evaluation.results import METRIC_TABLE
from stillhouse.evaluation.speed import measure_speed
from stillhouse.serving.classifier import Classifier

WORDS = 20  # of a short text
SHORT_TEXTS = 8000
REPEATS = (1, 10, 100)
FIRST_PASSES = 5
ROUND_S = 1.0  # on a shared host the best of many short passes depends least on other work
BESIDE = ("TF-IDF + SVM", "fastText", "tokenizers, whole texts", "teacher")  # in the summary
HEAD = """# Speed

Written by `make speed` (`python -m benchmarks.speed`); do not edit.

The compressed student of each of the outputs: its size, and its texts/s divided by those of the other models."""
Rows = list[list[str]]  # of a table, the heading first
COLD = """
import time; start = time.perf_counter()
from stillhouse.serving.classifier import Classifier
Classifier.load({model!r}).predict(["The striker scored twice."])
print(time.perf_counter() - start)
"""


def side_by_side(timed: Sequence[Candidate], texts: Sequence[str]) -> Rows:
    """Texts per second, latency, and the compressed student's relative speed, as table rows."""
    _, speed = measure_speed(timed, texts, ROUND_S)
    own = speed["compressed student"].docs_per_s
    titles = [METRIC_TABLE[name].title for name in ("megabytes", "docs_per_s")]
    rows = [["model", *titles, "p50 ms", "p95 ms", "compressed student is"]]
    for candidate in timed:
        numbers = speed[candidate.name]
        rows.append(
            [
                candidate.name,
                f"{candidate.bytes / 1e6:.2f}" if candidate.bytes else "",
                f"{numbers.docs_per_s:,.0f}",
                f"{numbers.latency_ms:.2f}",
                f"{numbers.latency_p95_ms:.2f}",
                f"{own / numbers.docs_per_s:.2f} x as fast",
            ]
        )
    return rows


def shortened(texts: Sequence[str]) -> list[str]:
    """The texts cut into runs of 20 words, the first 8,000 of them."""
    words = [text.split() for text in texts]
    runs = (" ".join(row[start : start + WORDS]) for row in words for start in range(0, len(row), WORDS))
    return [run for _, run in zip(range(SHORT_TEXTS), runs, strict=False)]


def first_pass(model: Path, texts: Sequence[str]) -> Rows:
    """Texts per second of a newly loaded student in its first and second pass; the best of five, as table rows."""
    first, second = [], []
    for _ in range(FIRST_PASSES):
        classifier = Classifier.load(model)
        for seconds in (first, second):
            start = time.perf_counter()
            classifier.predict(texts)
            seconds.append(time.perf_counter() - start)
    return [
        ["first pass, texts/s", "second pass, texts/s"],
        [f"{len(texts) / min(seconds):,.0f}" for seconds in (first, second)],
    ]


def scale(model: Path, texts: Sequence[str], words: Sequence[str], scratch: Path) -> Rows:
    """Seconds and peak memory of ``stillhouse predict`` over 1, 10 and 100 times as many texts, as table rows.

    The texts are as long as ``texts``, with words drawn from ``words``, so that no text occurs twice.
    """
    rows = [["texts", "seconds", "texts/s", "peak memory MB"]]
    chance, lengths = np.random.default_rng(0), [len(text.split()) for text in texts]
    drawn = np.array(words, dtype=object)
    for times in REPEATS:
        file = scratch / "lines.txt"
        with file.open("w", encoding="utf-8") as lines:
            for length in lengths * times:
                lines.write(" ".join(drawn[chance.integers(0, len(drawn), length)]) + "\n")
        command = [sys.executable, "-m", "stillhouse.serving.predict", str(model), str(file)]
        measured_run = child(command, scratch)
        count = times * len(texts)
        seconds, memory = f"{measured_run.seconds:.2f}", f"{measured_run.peak_mb:,.0f}"
        rows.append([f"{count:,}", seconds, f"{count / measured_run.seconds:,.0f}", memory])
    return rows


def cold_start(model: Path, scratch: Path) -> Rows:
    """Seconds from import to the first prediction and of the whole process, and its peak memory, as table rows.

    Each is the best of five.
    """
    command = [sys.executable, "-c", COLD.format(model=str(model))]
    runs = [child(command, scratch) for _ in range(5)]
    inner = min(float(run.output) for run in runs)
    whole, memory = min(run.seconds for run in runs), min(run.peak_mb for run in runs)
    return [
        ["import to first answer s", "whole process s", "peak memory MB"],
        [f"{inner:.2f}", f"{whole:.2f}", f"{memory:.0f}"],
    ]


def summary(sections: dict[str, tuple[Rows, Rows]]) -> Rows:
    """One row for each of the outputs and each length of text: the compressed student beside the other models.

    Args:
        sections: the rows of :func:`side_by_side` for whole and for short texts, by the section's title.
    """
    rows = [["outputs", "texts", "MB", "texts/s", *(f"x {name}" for name in BESIDE)]]
    for title, tables in sections.items():
        for length, table in zip(("whole", f"{WORDS} words"), tables, strict=True):
            models = {row[0]: row for row in table}
            own = models["compressed student"]
            rows.append([title, length, own[1], own[2], *(models[name][-1].split()[0] for name in BESIDE)])
    return rows


def title_of(outputs: Path) -> str:
    """The title of a section: the folder, and the size of its student."""
    size = json.loads((outputs / "student" / "metrics.json").read_text(encoding="utf-8"))["size"]
    return f"{outputs} ({size})"


def measured(outputs: Path, title: str) -> tuple[tuple[Rows, Rows], list[str]]:
    """The measurements of one pipeline's models: the rows for whole and for short texts, and all as paragraphs."""
    texts = list(read_split(outputs / "prepare" / "test.arrow")["text"])
    words = [word for name in ("train", "unlabelled") for word in _words(outputs / "prepare" / f"{name}.arrow")]
    model = outputs / "compress" / "model"
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        timed, short = models(outputs, scratch), shortened(texts)
        tables = side_by_side(timed, texts), side_by_side(timed, short)
        return tables, [
            f"## {title}\n\n{len(texts):,} test texts, whole; {machine()}",
            as_markdown(tables[0]),
            f"{len(short):,} texts of {WORDS} words, cut from them",
            as_markdown(tables[1]),
            "The compressed student: just loaded, and when it sees the same texts again",
            as_markdown(first_pass(model, texts)),
            "from its import to its first answer",
            as_markdown(cold_start(model, scratch)),
            "and over more and more texts, whose words are drawn from the training text, none of them twice",
            as_markdown(scale(model, texts, words, scratch)),
        ]


def main() -> None:
    """Measure. The page is written after each of the outputs, so that a stopped measurement loses one."""
    sections, paragraphs = {}, []
    for outputs in map(Path, sys.argv[1:] or ["outputs"]):
        title = title_of(outputs)
        sections[title], more = measured(outputs, title)
        paragraphs += more
        page = "\n\n".join([HEAD, as_markdown(summary(sections)), *paragraphs])
        Path("benchmarks/SPEED.md").write_text(page + "\n", encoding="utf-8")
    print(page)


def _words(split: Path) -> list[str]:
    return [word for text in read_split(split)["text"] for word in text.split()]


if __name__ == "__main__":
    main()
