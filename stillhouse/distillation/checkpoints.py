"""Where an interrupted training left off."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import torch

SCRATCH = Path(".stillhouse/scratch")


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


def save_checkpoint(state: dict[str, Any], file: Path) -> None:
    """Write tensors and plain values to ``file``; a crash leaves the checkpoint that was there."""
    partial = file.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(file)


def load_checkpoint(file: Path) -> dict[str, Any] | None:
    """What :func:`save_checkpoint` wrote, or None; only tensors and plain values are unpickled."""
    return torch.load(file, weights_only=True, map_location="cpu") if file.is_file() else None


def last_trainer_checkpoint(folder: Path) -> Path | None:
    """The newest complete ``checkpoint-<step>`` of transformers' Trainer; half-written ones are removed."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    for path in reversed(found):
        try:  # the Trainer writes its state last
            json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
            return path
        except (OSError, json.JSONDecodeError):
            shutil.rmtree(path, ignore_errors=True)
    return None


def clear_scratch(stage: str) -> None:
    """Remove a stage's checkpoints, once its result is written."""
    for folder in SCRATCH.glob(f"{stage}-*"):
        shutil.rmtree(folder, ignore_errors=True)
