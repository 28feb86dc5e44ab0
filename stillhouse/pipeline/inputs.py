"""Check that the input files of a stage are what the earlier stages wrote: detect damage in workspace and DVC cache."""

import hashlib
import json
from pathlib import Path
from typing import Any

from stillhouse.errors import BadInput
from stillhouse.params.files import read_yaml
from stillhouse.pipeline.artefacts import inputs_of
from stillhouse.pipeline.stages import Stage
from stillhouse.provenance import file_md5

LOCK = Path("dvc.lock")


def check_inputs(stage: Stage) -> None:
    """Compare the outputs of earlier stages that ``stage`` reads with the digests in ``dvc.lock``.

    DVC itself compares only sizes and times, and it restores a damaged file from its cache without noticing.

    Raises:
        BadInput: a file differs; the message names the file and the command that rebuilds it.
    """
    recorded: dict[Path, tuple[str, str]] = {}
    for name, entry in locked_stages().items():
        recorded |= {Path(out["path"]): (name, out["md5"]) for out in entry.get("outs", []) if "md5" in out}
    for path in inputs_of(stage):
        if path not in recorded or not path.exists():
            continue
        writer, digest = recorded[path]
        if digest_of(path) != digest:
            raise BadInput(
                f"{path} is damaged: it is not what the stage {writer} wrote. Make it again: "
                f"dvc repro --force --single-item {writer}"
            )


def locked_stages() -> dict[str, Any]:
    """Return the entries of ``dvc.lock`` by stage name; empty if the file does not exist yet.

    Raises:
        BadInput: the file is damaged, or holds merge conflict markers.
    """
    if not LOCK.exists():
        return {}
    try:
        found: dict[str, Any] = read_yaml(LOCK).get("stages") or {}
        return {name: dict(entry) for name, entry in found.items()}
    except (BadInput, TypeError, ValueError, AttributeError) as error:
        reason = str(error) if isinstance(error, BadInput) else f"{LOCK} is not what DVC wrote."
        raise BadInput(
            f"{reason} Restore it (git checkout {LOCK}), or remove it: the next run writes it again, and restores from "
            "DVC's cache the outputs that are there."
        ) from None


def digest_of(path: Path) -> str:
    """Return DVC's digest of a file or of a folder with all its files."""
    return _folder_digest(path) if path.is_dir() else file_md5(path)


def _folder_digest(folder: Path) -> str:
    """Compute the same digest as ``Tree.digest`` of dvc-data."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    entries = [{"md5": file_md5(file), "relpath": file.relative_to(folder).as_posix()} for file in files]
    entries.sort(key=lambda entry: entry["relpath"])
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"
