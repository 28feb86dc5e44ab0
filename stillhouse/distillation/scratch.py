"""Where the stages' trainings keep their checkpoints, and for how long."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stillhouse.provenance import code_md5, file_md5, folder_md5

LIBRARIES = ("numpy", "scikit-learn", "tokenizers", "torch", "transformers")  # that compute in a training
SCRATCH = Path(".stillhouse/scratch")
FINISHED = "finished"


def identity(
    settings: Mapping[str, Any], seed: int, device: str, inputs: Mapping[str, Path | str | None]
) -> dict[str, Any]:
    """Everything that decides a training, by content: a checkpoint is used again only where all of it is the same.

    Besides the arguments these are the code of this package and the versions of the libraries that compute.

    Args:
        settings: the parameters that the training reads.
        seed: of everything random in it.
        device: its type (``cpu``, ``cuda``, ``mps``): each gives other bytes.
        inputs: by name, files and folders, whose content counts and not their path; text or digests of what is no
            file; None for what this training does not have.
    """
    digests = {name: _digest(what) for name, what in inputs.items() if what is not None}
    libraries = {name: version(name) for name in LIBRARIES}
    return {
        "settings": settings,
        "seed": seed,
        "device": device,
        "inputs": digests,
        "code": code_md5(),
        "libraries": libraries,
    }


def _digest(what: Path | str) -> str:
    if isinstance(what, Path):
        return folder_md5(what) if what.is_dir() else file_md5(what)
    return hashlib.sha256(what.encode()).hexdigest()


def scratch_folder(stage: str, identity: Mapping[str, Any]) -> Path:
    """A folder outside DVC's outputs for one training's checkpoints.

    It is named after the training's :func:`identity`, so that a run never goes on from another training's checkpoint;
    folders of other identities are removed.
    """
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()[:16]
    folder = SCRATCH / f"{stage}-{digest}"
    for other in SCRATCH.glob(f"{stage}-*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def mark_finished(stage: str) -> None:
    """Note that a stage's training is over. Its checkpoints stay until another stage begins: DVC has yet to store it.

    Should that fail (a full disk), the next run goes on from the last one, and so has the result at once.
    """
    for folder in SCRATCH.glob(f"{stage}-*"):
        (folder / FINISHED).touch()


def clear_finished(but: str) -> None:
    """Remove the checkpoints of finished trainings of other stages than ``but``: what they made is stored by now."""
    for note in SCRATCH.glob(f"*/{FINISHED}"):
        if not note.parent.name.startswith(f"{but}-"):
            shutil.rmtree(note.parent, ignore_errors=True)


def clear_scratch(stage: str) -> None:
    """Remove a stage's checkpoints."""
    for folder in SCRATCH.glob(f"{stage}-*"):
        shutil.rmtree(folder, ignore_errors=True)
