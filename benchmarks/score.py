"""``python -m benchmarks.score OUTPUTS [texts]``: what ``stillhouse score`` over a folder adds to the student's time.

``OUTPUTS`` is that of a finished project. Short texts of random words from its training texts are written to eight
Parquet files. By turns, the student labels these texts in memory, and ``score``'s local runner labels the folder. Then
each part of a block's work is timed alone, on one thread. On a machine with other work, the processor's time is the
measure to look at.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flows.shared.blocks import Work
from flows.shared.folders import claim, find_blocks, open_folder, run_local
from flows.shared.labeller import Labeller
from stillhouse.data.readers import Wanted
from stillhouse.data.splits import read_split
from stillhouse.evaluation.report import as_markdown, machine
from stillhouse.params import Format
from stillhouse.provenance import file_md5
from stillhouse.serving.classifier import Classifier

TEXTS, WORDS, FILES, ROUNDS, CHUNK = 500_000, 10, 8, 3, 50_000
WANTED = Wanted({"text_column": "text"}, Format(**dict.fromkeys(Format.model_fields, "auto")), "--")


def made_texts(words: list[str], count: int) -> list[str]:
    """Texts of ten random words."""
    drawn = np.array(words, dtype=object)[np.random.default_rng(0).integers(0, len(words), (count, WORDS))]
    return [" ".join(row) for row in drawn]


def label_folder(source: Path, target: Path, classifier: Classifier) -> int:
    """Label a folder as ``score`` does, without the registry; returns the number of rows."""
    read, write = open_folder(str(source)), open_folder(str(target))
    blocks = find_blocks(read, write, WANTED)
    claim(write)
    work = Work(read, write, Labeller(classifier, "text"), {"model": "benchmark"}, CHUNK)
    return sum(note["rows"] for note in run_local(work, blocks))


def seconds(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """The time that a function takes, the processor's time in it, and its result."""
    start, spent = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - start, time.process_time() - spent, result


def parts(source: Path, scratch: Path, classifier: Classifier) -> list[list[str]]:
    """The processor's seconds of each part of the work on all files, one after the other, as table rows."""
    spent = dict.fromkeys(("read", "to Python", "answer", "to Arrow", "write", "digests"), 0.0)
    for file in sorted(source.glob("*.parquet")):
        out = scratch / "part.parquet"
        _, took, batches = seconds(lambda file=file: list(pq.ParquetFile(file).iter_batches(CHUNK)))
        spent["read"] += took
        tables = []
        for batch in batches:
            table = pa.Table.from_batches([batch])
            _, took, texts = seconds(table["text"].to_pylist)
            spent["to Python"] += took
            _, answering, _ = seconds(lambda texts=texts: classifier.answer(texts))
            spent["answer"] += answering
            _, whole, labelled = seconds(lambda table=table: Labeller(classifier, "text")(table))
            spent["to Arrow"] += max(whole - answering - took, 0.0)
            tables.append(labelled)
        spent["write"] += seconds(lambda out=out, tables=tables: _written(tables, out))[1]
        spent["digests"] += seconds(lambda file=file, out=out: (file_md5(file), file_md5(out)))[1]
    return [list(spent), [f"{value:.2f}" for value in spent.values()]]


def _written(tables: list[pa.Table], file: Path) -> None:
    with pq.ParquetWriter(file, tables[0].schema, use_dictionary=["id", "label"]) as writer:
        for table in tables:
            writer.write_table(table)


def main() -> None:
    """Measure, and print the tables."""
    outputs, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else TEXTS
    classifier = Classifier.load(outputs / "register" / "model")
    words = sorted({word for text in read_split(outputs / "prepare" / "train.arrow")["text"] for word in text.split()})
    texts = made_texts(words, count)
    rows = [["round", "in memory, texts/s", "folder, texts/s", "share", "the same by processor time"]]
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        (scratch / "in").mkdir()
        for number, some in enumerate(np.array_split(np.array(texts, dtype=object), FILES)):
            table = pa.table({"id": range(len(some)), "text": pa.array(some, pa.string())})
            pq.write_table(table, scratch / "in" / f"{number}.parquet")
        classifier.answer(texts[:5000])
        for turn in range(1, ROUNDS + 1):
            alone, spent_alone, _ = seconds(lambda: classifier.answer(texts))
            took, spent, labelled = seconds(
                lambda turn=turn: label_folder(scratch / "in", scratch / f"{turn}", classifier)
            )
            assert labelled == count
            shares = [f"{100 * alone / took:.0f} %", f"{100 * spent_alone / spent:.0f} %"]
            rows.append([str(turn), f"{count / alone:,.0f}", f"{count / took:,.0f}", *shares])
        print(f"{machine()}\n\n{as_markdown(rows)}\n\n{as_markdown(parts(scratch / 'in', scratch, classifier))}")


if __name__ == "__main__":
    main()
