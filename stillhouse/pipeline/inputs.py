"""What a stage reads is what an earlier one wrote: not a byte of it rotted, in the workspace or in DVC's cache."""

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

    DVC looks at sizes and times alone, and brings a damaged file back from its cache as it is.

    Raises:
        BadInput: one is not what was written; it names the file and how it is made again.
    """
    made: dict[Path, tuple[str, str]] = {}
    for name, entry in locked_stages().items():
        made |= {Path(out["path"]): (name, out["md5"]) for out in entry.get("outs", []) if "md5" in out}
    for path in inputs_of(stage):
        if path not in made or not path.exists():
            continue
        maker, digest = made[path]
        if digest_of(path) != digest:
            raise BadInput(
                f"{path} is damaged: it is not what the stage {maker} wrote. Make it again: "
                f"dvc repro --force --single-item {maker}"
            )


def locked_stages() -> dict[str, Any]:
    """The entries of ``dvc.lock``, by the names of stages; none where it does not exist yet.

    Raises:
        BadInput: it is damaged, or holds the marks of a merge.
    """
    if not LOCK.exists():
        return {}
    try:
        found: dict[str, Any] = read_yaml(LOCK).get("stages") or {}
        return {name: dict(entry) for name, entry in found.items()}
    except (BadInput, TypeError, ValueError, AttributeError) as error:
        told = str(error) if isinstance(error, BadInput) else f"{LOCK} is not what DVC wrote."
        raise BadInput(
            f"{told} Bring it back (git checkout {LOCK}), or remove it: the next run makes it again, and takes from "
            "DVC's cache what is there."
        ) from None


def digest_of(path: Path) -> str:
    """The name that DVC has for a file, or for all that lies in a folder."""
    return _folder_digest(path) if path.is_dir() else file_md5(path)


def _folder_digest(folder: Path) -> str:
    """As ``Tree.digest`` of dvc-data."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    entries = [{"md5": file_md5(file), "relpath": file.relative_to(folder).as_posix()} for file in files]
    entries.sort(key=lambda entry: entry["relpath"])
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"
