"""``stillhouse score``: label a table with a registered model, in chunks. A stopped run can be continued.

The target has all columns of the source, and ``label``, ``probability`` and ``deferred``. The readers are those of the
stage ``prepare``. Each row of the source is a row of the target. The teacher, a language model or people can answer the
deferred texts, and some texts can be drawn for an audit.
"""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from flows.shared.environment import own_prefect_home

own_prefect_home()

import pyarrow as pa
import pyarrow.parquet as pq
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Failed, State

from flows.shared.deferring import Handling, handling_of, write_sheets
from flows.shared.folders import Options, is_folder, open_folder, scale_of, score_folder
from flows.shared.labeller import Labeller
from flows.shared.registered import load_version, registered
from flows.shared.running import run_flow
from flows.shared.scoring import check, check_numbers, format_of, lock_target
from flows.shared.stopping import command, handle_signals
from stillhouse.data.readers import Table, Wanted
from stillhouse.data.writers import open_writer
from stillhouse.errors import BadInput, StillhouseError
from stillhouse.pipeline.inputs import digest_of
from stillhouse.serving.classifier import Classifier
from stillhouse.tracking.registry import DIGEST_TAG, tag_of

NO_HANDLING = Handling()


@flow(name="score", validate_parameters=True)
def score(
    source: str,
    target: str,
    text_column: str = "text",
    model: str = "",
    alias: str = "champion",
    chunk: int = 50_000,
    min_confidence: float | None = None,
    defer_to: str = "",
    audit: float = 0.0,
    audit_by: str = "people",
    delimiter: str = "auto",
    quoting: str = "auto",
    escape: str | None = "auto",
    encoding: str = "auto",
    runner: str = "",
    address: str = "",
) -> dict[str, Any] | State[Any]:
    """Label every row of a table with a registered student.

    Args:
        source: The table to label, like ``data.path``: CSV, TSV, JSON Lines, Parquet, or a folder of parts. If the
            target is a folder: a folder of Parquet files, also at a URI of fsspec.
        target: The file to write. Chunks that a stopped run of the same work finished are not labelled again. Or a
            folder (no suffix, or a slash at the end): each Parquet file becomes one at the same path.
        text_column: The column that holds the texts. Null is an empty text.
        model: The registered model's name; empty for that of params.yaml.
        alias: The alias of the version to use.
        chunk: Rows in memory at a time. A stopped run loses at most the work on so many rows.
        min_confidence: A text whose probability is lower is deferred; empty: the threshold of the version, if any.
        defer_to: Who answers deferred texts: teacher, label (the language model of the section label), or a CSV file
            for people, from which the labels are taken once it is filled in. Empty: the student.
        audit: Share of the texts that are drawn for an audit, whatever the confidence, and written to a CSV file.
        audit_by: Who labels these: people, or teacher.
        delimiter: The delimiter of the source, like ``data.delimiter``.
        quoting: The quoting of the source, like ``data.quoting``.
        escape: The escape character of the source, like ``data.escape``.
        encoding: The encoding of the source, like ``data.encoding``.
        runner: From folder to folder: local or ray; empty: ``scale.runner``, or local outside of a project.
        address: The address of a Ray cluster; empty: ``scale.address``.
    """
    handle_signals()
    try:
        wanted = Wanted({"text_column": text_column}, format_of(delimiter, quoting, escape, encoding), "--")
        check_numbers(min_confidence, chunk)
        if is_folder(source, target):
            if defer_to or audit:
                raise BadInput(f"--defer-to and --audit need a file to write, but {target} is a folder.")
            folders = open_folder(source), open_folder(target)
            options = Options(wanted, model, alias, chunk, min_confidence, scale_of(runner, address))
            with lock_target(folders[1].shown()):
                return score_folder(*folders, options)
        if runner or address:
            raise BadInput(f"--runner and --address need a folder to write, but {target} is a file.")
        with lock_target(target):
            handling = handling_of(defer_to, audit, audit_by, Path(target))
            return _score(Path(source), Path(target), wanted, model, alias, chunk, min_confidence, handling)
    except StillhouseError as error:
        return Failed(message=str(error))


def _score(
    source: Path,
    target: Path,
    wanted: Wanted,
    name: str,
    alias: str,
    chunk: int,
    least: float | None,
    handling: Handling,
) -> dict[str, Any]:
    table, schema = check(source, target, wanted, handling.added)
    name, version = registered(name, alias)
    start = time.perf_counter()
    parts = target.with_name(f".{target.name}.parts")
    column = wanted.columns["text_column"]
    digest = tag_of(
        version, DIGEST_TAG
    )  # part of the identity: another store may have another version with the same number
    work = {"source_md5": digest_of(source), "model": name, "version": version.number, "digest": digest}
    work |= {"column": column, "chunk": chunk, "min_confidence": least, **handling.identity}
    _open_parts(parts, work | {"columns": schema.names, "settings": table.settings})
    _, classifier = load_version(version, parts / "model")
    if handling.second and not (classifier.min_confidence if least is None else least):
        raise BadInput(
            f"{name} version {version.number} has no threshold, so it defers nothing. Set one with --min-confidence."
        )
    handling.prepare([str(label) for label in classifier.classes_])
    rows = resumed = labelled = 0
    first = time.perf_counter()
    for index, batch in enumerate(_chunks(table, column, schema, chunk)):
        part = parts / f"{index:06d}.parquet"
        if part.exists():
            resumed += 1
        else:
            label_chunk.with_options(task_run_name=f"rows {rows + 1} to {rows + len(batch)}")(
                batch, column, schema, classifier, part, least, handling
            )
            labelled += len(batch)
        rows += len(batch)
    speed = round(labelled / (time.perf_counter() - first), 1)
    get_run_logger().info("%s", table.description(rows))
    sheets = write_sheets(handling, sorted(parts.glob("*.aside")), target, version.uri)
    _join(parts, target)
    shutil.rmtree(parts)
    seconds = round(time.perf_counter() - start, 2)
    receipt = work | {"rows": rows, "chunks_resumed": resumed, "seconds": seconds, "texts_per_s": speed}
    receipt |= {"read_as": table.settings, "for_people": sheets}
    target.with_name(f"{target.name}.json").write_text(json.dumps(receipt, indent=2) + "\n", encoding="utf-8")
    get_run_logger().info("%d rows labelled by %s version %d: %s", rows, name, version.number, target)
    return receipt


@task(cache_policy=NO_CACHE)
def label_chunk(
    table: pa.Table,
    column: str,
    schema: pa.Schema,
    classifier: Classifier,
    part: Path,
    least: float | None = None,
    handling: Handling = NO_HANDLING,
) -> None:
    """Write the columns of ``schema`` and those of ``handling`` to the Parquet file ``part``.

    The file is complete or absent. The texts that are set apart are beside it.
    """
    labelled, aside = Labeller(classifier, column, least, handling).with_aside(table)
    written = pa.schema([*schema, *handling.added])
    if aside:
        pq.write_table(aside, part.with_suffix(".aside"))
    draft = part.with_suffix(".draft")
    pq.write_table(labelled.select(written.names).cast(written), draft)
    draft.replace(part)


def _chunks(table: Table, column: str, schema: pa.Schema, rows: int) -> Iterator[pa.Table]:
    """Yield the table in pieces of ``rows`` rows. The last piece may be shorter."""
    pending: list[pa.RecordBatch] = []
    for batch in table.batches(list(dict.fromkeys([*schema.names, column]))):
        pending.append(batch)
        while sum(map(len, pending)) >= rows:
            piece = pa.Table.from_batches(pending)
            yield piece.slice(0, rows)
            pending = piece.slice(rows).to_batches()
    if sum(map(len, pending)):
        yield pa.Table.from_batches(pending)


def _open_parts(parts: Path, work: dict[str, Any]) -> None:
    """Open the folder of finished chunks. Chunks of other work (another table, model or version) are removed."""
    note = parts / "work.json"
    try:
        same = json.loads(note.read_text(encoding="utf-8")) == work
    except (OSError, ValueError):  # missing or truncated
        same = False
    if not same:
        shutil.rmtree(parts, ignore_errors=True)
        parts.unlink(missing_ok=True)
        parts.mkdir()
        note.write_text(json.dumps(work), encoding="utf-8")


def _join(parts: Path, target: Path) -> None:
    files = sorted(parts.glob("*.parquet"))
    draft = parts / "joined"
    writer = open_writer(draft, target, pq.read_schema(files[0]))
    with closing(writer):
        for file in files:
            writer.write_table(pq.read_table(file))
    draft.replace(target)


@command
def main(**options: Any) -> None:
    """Run the flow once and print the number of labelled rows. ``options`` are the flow's parameters."""
    receipt = run_flow(score, exclusive=False, **options)
    speed = receipt["texts_per_s"]
    print(
        f"{receipt['rows']} rows labelled by {receipt['model']} version {receipt['version']}, "
        + (f"{speed:,.0f} texts/s" if speed else "all of them by an earlier run")
    )
    for file, count in receipt["for_people"].items():
        print(f"{file}: {count} texts without a label, to be filled in by people")


if __name__ == "__main__":
    from flows.cli import main as start

    start("score")
