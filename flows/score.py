"""``python -m flows.score IN OUT``: label a table with the champion, a chunk at a time, and go on where it stopped.

``IN`` is a CSV, TSV or Parquet file, ``OUT`` one too; every column is kept, ``label`` and ``probability`` are added.
"""

import argparse
import csv
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flows.shared.environment import own_prefect_home

own_prefect_home()

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Failed, State

from flows.shared.running import run_flow
from flows.shared.stopping import command, take_signals
from stillhouse.classifier import Classifier
from stillhouse.data.files import check_rows
from stillhouse.data.layout import delimiter_of
from stillhouse.errors import BadInput, StillhouseError
from stillhouse.params import load_params
from stillhouse.provenance import file_md5
from stillhouse.tracking.registry import DIGEST_TAG, fetch_model, tag_of, version_of
from stillhouse.tracking.store import connect

KINDS = (".csv", ".tsv", ".parquet")
ADDED = ("label", "probability")
BLOCK = 1 << 26  # bytes of a CSV that are parsed at once; no row may be longer


@flow(name="score", validate_parameters=True)
def score(
    source: str, target: str, text_column: str = "text", model: str = "", alias: str = "champion", chunk: int = 50_000
) -> dict[str, Any] | State[Any]:
    """Label every row of a table with a registered student.

    Args:
        source: The CSV, TSV or Parquet file to label.
        target: The file to write; what an earlier, stopped run of the same work finished is not done again.
        text_column: The column that holds the texts. Null is an empty text.
        model: The registered model's name; empty for that of params.yaml.
        alias: Which of its versions: the one that this alias points to now.
        chunk: Rows that are held in memory, and lost at most when a run is stopped.
    """
    take_signals()
    try:
        return _score(Path(source), Path(target), text_column, model, alias, chunk)
    except StillhouseError as error:
        return Failed(message=str(error))


def _score(source: Path, target: Path, column: str, name: str, alias: str, chunk: int) -> dict[str, Any]:
    check(source, target, column, chunk)
    params = load_params()
    name = name or params.model_name
    connect(params.tracking.experiment)
    version = version_of(name, alias)
    if version is None:
        raise BadInput(
            f"The registry has no model {name!r} with the alias @{alias}. Run `make run` to register one, or name "
            "another with --model and --alias."
        )
    start = time.perf_counter()
    parts = target.with_name(f".{target.name}.parts")
    digest = tag_of(version, DIGEST_TAG)  # another store has other versions of the same number
    work = {"source_md5": file_md5(source), "model": name, "version": version.number, "digest": digest}
    work |= {"column": column, "chunk": chunk}
    _open_parts(parts, work)
    try:
        classifier = Classifier.load(fetch_model(version, parts / "model"))
    except (FileNotFoundError, ValueError) as error:
        raise BadInput(f"{name} version {version.number} cannot be used: {error}") from None
    rows = resumed = labelled = 0
    asked = time.perf_counter()
    for index, table in enumerate(_chunks(source, chunk)):
        part = parts / f"{index:06d}.parquet"
        if part.exists():
            resumed += 1
        else:
            label_chunk.with_options(task_run_name=f"rows {rows + 1} to {rows + len(table)}")(
                table, column, classifier, part
            )
            labelled += len(table)
        rows += len(table)
    speed = round(labelled / (time.perf_counter() - asked), 1)
    _join(parts, target)
    shutil.rmtree(parts)
    seconds = round(time.perf_counter() - start, 2)
    receipt = work | {"rows": rows, "chunks_resumed": resumed, "seconds": seconds, "texts_per_s": speed}
    target.with_name(f"{target.name}.json").write_text(json.dumps(receipt, indent=2) + "\n", encoding="utf-8")
    get_run_logger().info("%d rows labelled by %s version %d: %s", rows, name, version.number, target)
    return receipt


@task(cache_policy=NO_CACHE)
def label_chunk(table: pa.Table, column: str, classifier: Classifier, part: Path) -> None:
    """Write ``table`` with the two new columns as the Parquet file ``part``, whole or not at all."""
    texts = ["" if value is None else value for value in table[column].to_pylist()]
    probabilities = classifier.predict_proba(texts)
    best = probabilities.argmax(1)
    table = table.append_column("label", pa.array(classifier.classes_[best].tolist(), pa.string()))
    table = table.append_column("probability", pa.array(probabilities.max(1), pa.float32()))
    draft = part.with_suffix(".draft")
    pq.write_table(table, draft)
    draft.replace(part)


def check(source: Path, target: Path, column: str, chunk: int) -> None:
    """Refuse, before anything is done, what cannot be labelled or written. Raises BadInput."""
    _check_files(source, target)
    if chunk < 1:
        raise BadInput(f"chunk is {chunk}; it must be at least 1.")
    if source.suffix.lower() != ".parquet":
        try:
            check_rows(source, "utf-8-sig", delimiter_of(source))
        except UnicodeDecodeError as error:
            raise _unreadable(source, error) from None
    first = next(_chunks(source, 1), None)
    if first is None:
        raise BadInput(f"{source} has no rows.")
    names = first.column_names
    if column not in names:
        raise BadInput(f"{source} has no column {column!r}; it has {', '.join(map(repr, names))}. Use --text-column.")
    if taken := [name for name in ADDED if name in names]:
        raise BadInput(f"{source} has a column {taken[0]!r} already, which would be lost. Rename it first.")
    kind = first.schema.field(column).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise BadInput(f"{source}: column {column!r} holds {kind}, not text.")


def _check_files(source: Path, target: Path) -> None:
    for file, role in ((source, "the table to label"), (target, "the file to write")):
        if file.suffix.lower() not in KINDS:
            raise BadInput(f"{file} is of an unknown kind; {role} must end in {', '.join(KINDS)}.")
    if not source.is_file():
        raise BadInput(f"{source} does not exist.")
    if target.is_dir():
        raise BadInput(f"{target} is a folder; name a file to write.")
    if target.resolve() == source.resolve():
        raise BadInput(f"{target} is the table to label, which would be lost; name another file to write.")
    if not target.parent.is_dir() or not os.access(target.parent, os.W_OK):
        raise BadInput(f"{target.parent.resolve()} is no folder that you may write to.")


def _unreadable(source: Path, error: Exception) -> BadInput:
    return BadInput(f"{source} cannot be read as {source.suffix[1:].upper()} in UTF-8: {error}")


def _chunks(source: Path, rows: int) -> Iterator[pa.Table]:
    """The table in pieces of ``rows`` rows (the last may be shorter). Of CSV, every column is text, as written."""
    try:
        if source.suffix.lower() == ".parquet":
            with pq.ParquetFile(source) as file:
                for batch in file.iter_batches(rows):
                    yield pa.Table.from_batches([batch])
            return
        parse = pc.ParseOptions(delimiter=delimiter_of(source), newlines_in_values=True)
        read = pc.ReadOptions(block_size=BLOCK)
        with source.open(encoding="utf-8-sig", newline="") as file:
            names = next(csv.reader(file, delimiter=parse.delimiter), [])
        convert = pc.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
        held: list[pa.RecordBatch] = []
        for batch in pc.open_csv(source, read_options=read, parse_options=parse, convert_options=convert):
            held.append(batch)
            while sum(map(len, held)) >= rows:
                table = pa.Table.from_batches(held)
                yield table.slice(0, rows).combine_chunks()
                held = table.slice(rows).to_batches()
        if sum(map(len, held)):
            yield pa.Table.from_batches(held)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise _unreadable(source, error) from None


def _open_parts(parts: Path, work: dict[str, Any]) -> None:
    """The folder of finished chunks; those of other work (another table, model or version) are thrown away."""
    note = parts / "work.json"
    try:
        same = json.loads(note.read_text(encoding="utf-8")) == work
    except (OSError, ValueError):  # none, or cut short
        same = False
    if not same:
        shutil.rmtree(parts, ignore_errors=True)
        parts.unlink(missing_ok=True)
        parts.mkdir()
        note.write_text(json.dumps(work), encoding="utf-8")


def _join(parts: Path, target: Path) -> None:
    files = sorted(parts.glob("*.parquet"))
    schema = pq.read_schema(files[0])
    draft = parts / "joined"
    if target.suffix.lower() == ".parquet":
        writer: Any = pq.ParquetWriter(draft, schema)
    else:
        writer = pc.CSVWriter(draft, schema, write_options=pc.WriteOptions(delimiter=delimiter_of(target)))
    with writer:
        for file in files:
            writer.write_table(pq.read_table(file))
    draft.replace(target)


@command
def main() -> None:
    """Score one file."""
    parser = argparse.ArgumentParser(prog="python -m flows.score", description="Label a table with a registered model.")
    parser.add_argument("source", help="a CSV, TSV or Parquet file")
    parser.add_argument("target", help="the file to write; the same columns, and label and probability")
    parser.add_argument("--text-column", default="text")
    parser.add_argument("--model", default="", help="registered name; that of params.yaml when left out")
    parser.add_argument("--alias", default="champion")
    parser.add_argument("--chunk", type=int, default=50_000, help="rows held in memory")
    receipt = run_flow(score, alone=False, **vars(parser.parse_args()))
    print(
        f"{receipt['rows']} rows labelled by {receipt['model']} version {receipt['version']}, "
        f"{receipt['texts_per_s']:,.0f} texts/s"
    )


if __name__ == "__main__":
    main()
