"""``score`` from folder to folder: each Parquet file (block) becomes one file at the same path."""

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import pyarrow.parquet as pq
from fsspec.core import url_to_fs
from prefect import get_run_logger

from flows.shared.blocks import LEDGER, STATE, Block, Folder, Work, label_block
from flows.shared.cluster import run_ray
from flows.shared.labeller import Labeller
from flows.shared.registered import PARAMS, load_version, registered
from flows.shared.scoring import check_names
from stillhouse.cluster import check_installed
from stillhouse.data.readers import Wanted, check_types
from stillhouse.data.writers import writable
from stillhouse.errors import BadInput
from stillhouse.params import Scale, load_params
from stillhouse.progress import Progress
from stillhouse.provenance import folder_md5
from stillhouse.serving.classifier import cores

RECEIPT = f"{STATE}/receipt.json"
READERS = 16  # footers that are read at once


@dataclass(frozen=True)
class Options:
    """How a folder is labelled.

    Attributes:
        wanted: the column of the texts.
        model: the registered model's name; empty for that of params.yaml.
        alias: of the version.
        chunk: rows in memory at a time.
        least: texts with a lower probability are deferred; None: the threshold of the version, if any.
        scale: the runner.
    """

    wanted: Wanted
    model: str
    alias: str
    chunk: int
    least: float | None
    scale: Scale


def scale_of(runner: str, address: str) -> Scale:
    """Return the options as a section ``scale``; what is empty is that of params.yaml, if there is one.

    Raises:
        BadInput: there is no such runner, Ray is not installed, or there is an address without it.
    """
    own = load_params().scale if PARAMS.is_file() else Scale(runner="local", address=None)
    if runner not in ("", "local", "ray"):
        raise BadInput(f"--runner is {runner!r}; it must be local or ray.")
    chosen = Scale.model_validate({"runner": runner or own.runner, "address": address or own.address})
    if address and chosen.runner != "ray":
        raise BadInput("--address is that of a Ray cluster: add --runner ray.")
    if chosen.runner == "ray":
        check_installed()
    return chosen


def is_folder(source: str, target: str) -> bool:
    """Whether ``target`` names a folder to write: it ends in a slash, or has no suffix.

    Raises:
        BadInput: it is a file, and one of both is a URI.
    """
    if target.endswith("/") or not PurePath(target).suffix:
        return True
    if "://" in source + target:
        raise BadInput(f"{target} is a file. With URIs, name a folder to write (with a / at the end) and one to read.")
    return False


def open_folder(uri: str) -> Folder:
    """Return the folder at a path or a URI of fsspec. Raises BadInput: its protocol is unknown or not installed."""
    try:
        fs, root = url_to_fs(uri)
    except ImportError as error:
        raise BadInput(f"{uri} needs another package. {error}: pip install it beside Stillhouse.") from None
    except ValueError as error:
        raise BadInput(f"{uri} cannot be opened: {error}") from None
    folder = Folder(fs, root.rstrip("/"))
    return Folder(fs, str(Path(folder.root).resolve())) if folder.local else folder


def score_folder(source: Folder, target: Folder, options: Options) -> dict[str, Any]:
    """Label every Parquet file of ``source`` that ``target`` does not have yet, and write the receipt.

    Raises:
        BadInput: a file cannot be labelled, or the registry has no such model.
    """
    start, log = time.perf_counter(), get_run_logger()
    blocks = find_blocks(source, target, options.wanted)
    name, version = registered(options.model, options.alias)
    with tempfile.TemporaryDirectory() as scratch:
        model, classifier = load_version(version, Path(scratch), 1 if options.scale.runner == "ray" else None)
        column = options.wanted.columns["text_column"]
        settings = {"model": folder_md5(model), "column": column, "min_confidence": options.least}
    labeller = Labeller(classifier, column, options.least)
    work = Work(source, target, labeller, settings, options.chunk)
    claim(target)
    rows, labelled, resumed, first = sum(block.rows for block in blocks), 0, 0, time.perf_counter()
    progress = Progress(log)
    ray = options.scale.runner == "ray"
    notes = run_ray(work, blocks, options.scale.address) if ray else run_local(work, blocks)
    for number, note in enumerate(notes, 1):
        labelled += 0 if note["resumed"] else note["rows"]
        resumed += note["resumed"]
        speed = labelled / (time.perf_counter() - first)
        progress.step("block", number, len(blocks), f"{labelled:,} rows labelled, {speed:,.0f} texts/s")
    receipt = {"source": source.shown(), "model": name, "version": version.number, "settings": settings, "rows": rows}
    receipt |= {"blocks": len(blocks), "blocks_resumed": resumed, "texts_per_s": round(speed, 1)}
    receipt |= {"seconds": round(time.perf_counter() - start, 2), "for_people": {}}
    receipt |= {"runner": options.scale.runner}
    target.write_json(RECEIPT, receipt)
    log.info(
        "%d rows of %d files labelled by %s version %d: %s", rows, len(blocks), name, version.number, target.shown()
    )
    return receipt


def run_local(work: Work, blocks: list[Block]) -> Iterator[dict[str, Any]]:
    """Label the blocks on this machine. While one is read or written, another one is labelled.

    Yields:
        The note of each block, see :func:`label_block`.
    """
    with ThreadPoolExecutor(min(cores(), len(blocks))) as pool:
        waiting = [pool.submit(label_block, work, block) for block in blocks]
        try:
            for future in as_completed(waiting):
                yield future.result()
        finally:  # after an error or a signal no other block begins
            for future in waiting:
                future.cancel()


def find_blocks(source: Folder, target: Folder, wanted: Wanted) -> list[Block]:
    """Return the Parquet files of a folder in the order of their names.

    Names that begin with a dot or an underscore are ignored, as in Spark and Hive, and files of other kinds.

    Raises:
        BadInput: source and target overlap, there is no Parquet file, or one cannot be labelled.
    """
    inner, outer = sorted((f"{source.shown()}/", f"{target.shown()}/"), key=len, reverse=True)
    if inner.startswith(outer):
        raise BadInput(f"{target.shown()} and {source.shown()} lie one in the other; name a folder elsewhere.")
    try:
        if not source.fs.exists(source.root):
            raise BadInput(f"{source.shown()} does not exist.")
        if source.fs.isfile(source.root):
            raise BadInput(
                f"{source.shown()} is a file, but {target.shown()} has no suffix and is a folder to write. Name a file "
                "such as out.parquet, or a folder to read."
            )
        found = sorted(path[len(source.root) + 1 :] for path in source.fs.find(source.root))
    except BadInput:
        raise
    except Exception as error:  # each store has errors of its own
        raise BadInput(f"{source.shown()} cannot be read: {type(error).__name__}: {error}") from None
    names = [name for name in found if name.lower().endswith(".parquet") and not _hidden(name)]
    if not names:
        raise BadInput(f"{source.shown()} holds no Parquet file (*.parquet).")
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda name: _block(source, name, wanted), names))


def _hidden(name: str) -> bool:
    return any(part[0] in "._" for part in name.split("/"))


def _block(source: Folder, name: str, wanted: Wanted) -> Block:
    shown = source.shown(name)
    try:
        with source.fs.open(source.path(name), "rb") as file:
            parquet = pq.ParquetFile(file)
            schema, rows = parquet.schema_arrow, parquet.metadata.num_rows
    except Exception as error:  # pyarrow's errors have no common base, and each store has its own
        raise BadInput(f"{shown} cannot be read as Parquet: {error}") from None
    wanted.check(shown, schema.names)
    check_types(shown, schema, wanted)
    check_names(shown, schema.names, folders=[part.partition("=")[0] for part in name.split("/")[:-1]])
    return Block(name, rows, writable(schema.remove_metadata(), Path(name)))


def claim(target: Folder) -> None:
    """Mark a folder as one that ``score`` writes, and remove what a killed run left.

    Raises:
        BadInput: it has Parquet files of another origin, which could be replaced.
    """
    found = target.fs.find(target.root) if target.fs.exists(target.root) else []
    inside = [path[len(target.root) + 1 :] for path in found]
    mine = f"{STATE}/README"
    if mine not in inside:
        if foreign := [name for name in inside if name.lower().endswith(".parquet")]:
            raise BadInput(f"{target.shown(foreign[0])} was not written by score. Name a new folder.")
        with target.writing(mine) as draft:
            draft.write_text(
                f"{LEDGER}: one note for each file that `stillhouse score` wrote. Remove one to repeat it.\n"
            )
    target.remove_drafts()
