"""Which file holds which split: one table, or a folder of them."""

import re
from pathlib import Path

from stillhouse.errors import BadInput

SPLITS = ("train", "validation", "test")
READERS = {".csv": "csv", ".tsv": "csv", ".jsonl": "json", ".parquet": "parquet"}


def delimiter_of(file: Path) -> str:
    """What stands between the fields of a table of text."""
    return "\t" if file.suffix.lower() == ".tsv" else ","


def split_files(path: Path, unlabelled: str | None) -> dict[str, Path]:
    """The file of each split in a folder, or one file as ``train``; also that named ``unlabelled``. Raises BadInput."""
    allowed = ", ".join(READERS)
    if path.is_file():
        if path.suffix.lower() not in READERS:
            raise BadInput(f"data.path: {path} is of an unknown kind; it must end in {allowed}.")
        if unlabelled:
            raise BadInput(
                f"data.unlabelled is {unlabelled!r}, but data.path is one file. Make data.path a folder that holds "
                f"train{path.suffix} and {unlabelled}{path.suffix}."
            )
        return {"train": path}
    if not path.is_dir():
        raise BadInput(f"data.path: {path} does not exist. Give a file ({allowed}) or a folder of splits.")
    if unlabelled and not re.fullmatch(r"[\w-]+", unlabelled):
        raise BadInput(f"data.unlabelled: {unlabelled!r} is not the name of a file in {path} without its ending.")
    files: dict[str, Path] = {}
    for split in [*SPLITS, *([unlabelled] if unlabelled else [])]:
        files |= _of_split(path, split)
    if "train" not in files:
        raise BadInput(
            f"data.path: {path} holds no train split. Put train.csv (or {allowed}) there, with validation.* "
            "and test.* where you have them, or name one file."
        )
    if unlabelled and unlabelled not in files:
        raise BadInput(f"data.unlabelled: {path} holds no {unlabelled}.* ({allowed}).")
    return files


def _of_split(path: Path, split: str) -> dict[str, Path]:
    found = sorted(file for file in path.glob(f"{split}.*") if file.suffix.lower() in READERS)
    if len(found) > 1:
        raise BadInput(f"data.path: {path} holds more than one {split} split: {_listed(found)}. Keep one.")
    if found and not found[0].is_file():
        raise BadInput(f"data.path: {found[0]} is not a file, or leads to none.")
    return {split: found[0]} if found else {}


def _listed(files: list[Path]) -> str:
    return ", ".join(file.name for file in files)
