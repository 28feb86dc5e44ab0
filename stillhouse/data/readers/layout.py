"""Finds the files of each split: one table, a folder of its parts, or a folder of splits."""

import json
import re
from pathlib import Path

from stillhouse.errors import BadInput

SPLITS = ("train", "validation", "test")
READERS = {
    ".csv": "text",
    ".tsv": "text",
    ".tab": "text",
    ".txt": "text",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".parquet": "parquet",
}
ALLOWED = ", ".join(READERS)
PACKED = (".gz", ".zip", ".bz2", ".xz", ".zst", ".xlsx", ".xls")


def split_files(path: Path, unlabelled: str | None) -> dict[str, Path]:
    """Return the table of each split. One table alone is ``train``.

    A table is a file, a folder of parts as Spark and Hive write it, or a folder of ``Dataset.save_to_disk``.

    Args:
        path: a table, or a folder of splits.
        unlabelled: the name of a further split in that folder; None for none.

    Raises:
        BadInput: a split is missing or ambiguous, or a table has no files.
    """
    if is_table(path):
        if unlabelled:
            raise BadInput(
                f"data.unlabelled is {unlabelled!r}, but data.path is one table. Make data.path a folder that holds "
                f"train{path.suffix} and {unlabelled}{path.suffix}."
            )
        find_parts(path)
        return {"train": path}
    if not path.is_dir():
        raise BadInput(f"data.path: {path} does not exist. Give a file ({ALLOWED}) or a folder of splits.")
    if unlabelled and not re.fullmatch(r"[\w-]+", unlabelled):
        raise BadInput(f"data.unlabelled: {unlabelled!r} is not the name of a file in {path} without its ending.")
    files: dict[str, Path] = {}
    for split in [*SPLITS, *([unlabelled] if unlabelled else [])]:
        files |= _of_split(path, split)
    if "train" not in files:
        raise BadInput(
            f"data.path: {path} holds no train split. Add a file train.* ({ALLOWED}) there, with validation.* "
            "and test.* if you have them, or give one file. A folder is one table if its files are named part-*, or "
            "if its own name has such a suffix."
        )
    if unlabelled and unlabelled not in files:
        raise BadInput(f"data.unlabelled: {path} holds no {unlabelled}.* ({ALLOWED}).")
    return files


def _of_split(path: Path, split: str) -> dict[str, Path]:
    found = sorted(file for file in path.glob(f"{split}.*") if file.suffix.lower() in READERS)
    found += [path / split] if is_table(path / split) else []
    if len(found) > 1:
        raise BadInput(f"data.path: {path} holds more than one {split} split: {_listed(found)}. Keep one.")
    if found:
        find_parts(found[0])
    return {split: found[0]} if found else {}


def is_table(path: Path) -> bool:
    """Whether ``path`` is one table.

    A table is a file, a folder with a table's suffix, a folder of parts, or a saved data set.
    """
    if not path.is_dir():
        return path.is_file()
    if path.suffix.lower() in READERS or (path / "_SUCCESS").exists() or _is_saved(path):
        return True
    inside = [entry for entry in path.iterdir() if not entry.name.startswith((".", "_"))]
    return any(entry.name.startswith("part-") if entry.is_file() else "=" in entry.name for entry in inside)


def find_parts(path: Path) -> tuple[str, list[Path]]:
    """Return the kind of a table (``text``, ``json``, ``parquet``, ``saved``) and its files, sorted by name.

    Files whose names begin with a dot or an underscore are ignored, as in Spark and Hive.

    Raises:
        BadInput: no such file, an unknown kind, several kinds, or no part.
    """
    if _is_saved(path):
        return "saved", [path]
    if path.is_dir():
        names = (file.relative_to(path) for file in path.rglob("*") if file.is_file() and file.stat().st_size)
        inside = [path / name for name in sorted(names) if not any(one[0] in "._" for one in name.parts)]
        if not inside:
            raise BadInput(f"{path} is not a file, and the folder has no parts of a table.")
        kinds = {_kind(file, path) for file in inside}
        if len(kinds) > 1:
            raise BadInput(f"{path} holds parts of several kinds: {_listed(inside[:8])}. Keep one kind.")
        return kinds.pop(), inside
    if not path.is_file():
        raise BadInput(f"{path} is not a file, or is a broken link.")
    kind = _kind(path, path)
    if path.stat().st_size == 0:
        raise BadInput(f"{path} is empty.")
    return kind, [path]


def _kind(file: Path, table: Path) -> str:
    suffix = file.suffix.lower()
    if suffix in READERS:
        return READERS[suffix]
    if suffix in PACKED:
        raise BadInput(f"{file} is of an unknown kind: packed, or a workbook. Unpack it first.")
    if file.name.startswith("part-") and table.suffix.lower() in READERS:  # as Hadoop names them
        return READERS[table.suffix.lower()]
    raise BadInput(f"{file} is of an unknown kind; it must end in {ALLOWED}.")


def _is_saved(path: Path) -> bool:
    if not (path / "state.json").is_file():
        return False
    try:
        return "_data_files" in json.loads((path / "state.json").read_text(encoding="utf-8"))
    except ValueError:
        return False


def _listed(files: list[Path]) -> str:
    return ", ".join(file.name for file in files)
