"""Where the stages' trainings keep their checkpoints, and for how long."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

SCRATCH = Path(".stillhouse/scratch")
FINISHED = "finished"


def scratch_folder(stage: str, *identity: Any) -> Path:
    """A folder outside DVC's outputs for one training's checkpoints.

    It is named after everything that training depends on (``identity``: parameters, file digests), so that
    a run never goes on from another run's checkpoint; folders of other identities are removed.
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
