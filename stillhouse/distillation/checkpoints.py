"""Where an interrupted training left off."""

import hashlib
import json
import logging
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

logger = logging.getLogger(__name__)

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


def save_checkpoint(state: dict[str, Any], file: Path) -> None:
    """Write tensors and plain values to ``file``; a crash, of the machine too, leaves the checkpoint that was there."""
    partial = file.with_suffix(".partial")
    with partial.open("wb") as target:
        torch.save(state, target)
        target.flush()
        os.fsync(target.fileno())
    partial.replace(file)


def load_checkpoint(file: Path) -> dict[str, Any] | None:
    """What :func:`save_checkpoint` wrote, or None; only tensors and plain values are unpickled.

    A damaged file is set aside as ``<name>.damaged``, said so, and counts as none.
    """
    if not file.is_file():
        return None
    try:
        _check(file)
        return dict(torch.load(file, weights_only=True, map_location="cpu"))
    except Exception as error:  # of zipfile, pickle, PyTorch: no common base
        aside = file.with_name(f"{file.name}.damaged")
        file.replace(aside)
        told = "the checkpoint %s is damaged (%s); it is set aside as %s, training starts again"
        logger.warning(told, file, error, aside.name)
        return None


def last_trainer_checkpoint(folder: Path) -> Path | None:
    """The newest whole ``checkpoint-<step>`` of transformers' Trainer; half-written and damaged ones are removed."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    for path in reversed(found):
        try:
            json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))  # which the Trainer writes last
            for file in path.iterdir():
                _check(file)
            return path
        except Exception as error:
            logger.warning("the checkpoint %s is not whole (%s); it is not used", path, error)
            shutil.rmtree(path, ignore_errors=True)
    return None


def _check(file: Path) -> None:
    """Raises where a file of PyTorch's or safetensors' format is cut short, or its checksums are wrong."""
    if file.suffix in (".pt", ".pth", ".bin"):
        with zipfile.ZipFile(file) as archive:
            if wrong := archive.testzip():
                raise ValueError(f"{wrong} in it has another checksum than it was written with")
    elif file.suffix == ".safetensors":
        with safe_open(file, framework="pt"):
            pass


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
