"""Folders for the checkpoints and results of trainings, and when they are removed."""

import hashlib
import json
import shutil
from collections.abc import Callable, Collection, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stillhouse.provenance import code_md5, file_md5, folder_md5

LIBRARIES = (
    "numpy",
    "scikit-learn",
    "tokenizers",
    "torch",
    "transformers",
)  # their versions can change the result of a training
SCRATCH = Path(".stillhouse/scratch")
RESULTS = Path(".stillhouse/teachers")
LASTING = "student-"  # its stage also runs again for a changed gate, which trains nothing anew
FINISHED = "finished"


def identity(
    settings: Mapping[str, Any], seed: int, device: str, inputs: Mapping[str, Path | str | None]
) -> dict[str, Any]:
    """Return everything that decides the result of a training, by content.

    A training resumes from a checkpoint only if all of it is equal. The identity also contains the code of this package
    and the versions of the libraries.

    Args:
        settings: the parameters that the training reads.
        seed: of everything random in it.
        device: the type (``cpu``, ``cuda``, ``mps``). Each type gives different bytes.
        inputs: by name. Of files and folders the content counts, not the path. Other inputs are text or digests. None:
            this training does not have the input.
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
    """Create and return the folder for the checkpoints of one training, outside of DVC's outputs.

    Its name depends on the :func:`identity` of the training. So a run never resumes from a checkpoint of another
    training. Folders of the stage with other identities are removed.
    """
    folder = SCRATCH / f"{stage}-{_short_digest(identity)}"
    for other in SCRATCH.glob(f"{stage}-*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _short_digest(identity: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()[:16]


def stored_result(identity: Mapping[str, Any], make: Callable[[Path], None]) -> Path:
    """Return the folder of a training's result, outside of DVC's outputs; ``make`` writes it if it is not complete.

    DVC stores the outputs of a stage together. With several teachers in one stage, this store has the result of each,
    so that a change of one does not train the others again.

    Args:
        identity: of the training (:func:`identity`).
        make: writes the result into an empty folder. It is not called if the stored files have not changed.
    """
    place = RESULTS / _short_digest(identity)
    folder, digest = place / "result", place / "result.md5"
    if not (digest.exists() and folder.is_dir() and digest.read_text(encoding="utf-8") == folder_md5(folder)):
        shutil.rmtree(place, ignore_errors=True)
        folder.mkdir(parents=True)
        make(folder)
        digest.write_text(folder_md5(folder), encoding="utf-8")
    return folder


def clear_results(keep: Collection[Path]) -> None:
    """Remove the stored results except the folders ``keep``, which :func:`stored_result` returned."""
    needed = {folder.parent for folder in keep}
    for place in RESULTS.glob("*"):
        if place not in needed:
            shutil.rmtree(place, ignore_errors=True)


def mark_finished(stage: str) -> None:
    """Mark the trainings of a stage as finished. The checkpoints stay until another stage starts.

    DVC stores the result after the stage. If this fails (a full disk), the next run resumes from the last checkpoint
    and has the result at once.
    """
    for folder in SCRATCH.glob(f"{stage}-*"):
        (folder / FINISHED).touch()


def clear_finished(keep: str) -> None:
    """Remove the checkpoints of finished trainings, except those of the stages ``keep`` and ``student``.

    DVC has stored the results.
    """
    for mark in SCRATCH.glob(f"*/{FINISHED}"):
        if not mark.parent.name.startswith((f"{keep}-", LASTING)):
            shutil.rmtree(mark.parent, ignore_errors=True)


def clear_scratch(stage: str) -> None:
    """Remove the checkpoints of a stage."""
    for folder in SCRATCH.glob(f"{stage}-*"):
        shutil.rmtree(folder, ignore_errors=True)
