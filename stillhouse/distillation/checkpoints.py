"""Checkpoints of interrupted trainings. They are written atomically and verified before they are read."""

import json
import logging
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from stillhouse.files import replacing

logger = logging.getLogger(__name__)


def save_checkpoint(state: dict[str, Any], file: Path) -> None:
    """Write tensors and plain values to ``file``. After a crash, also of the machine, the old checkpoint is intact."""
    with replacing(file) as partial, partial.open("wb") as target:
        torch.save(state, target)
        target.flush()
        os.fsync(target.fileno())


def load_checkpoint(file: Path) -> dict[str, Any] | None:
    """Read a checkpoint of :func:`save_checkpoint`; only tensors and plain values are unpickled.

    Returns None if there is no file. A damaged file is renamed to ``<name>.damaged``, with a warning, and counts as
    missing.
    """
    if not file.is_file():
        return None
    try:
        _check(file)
        return dict(torch.load(file, weights_only=True, map_location="cpu"))
    except Exception as error:  # errors of zipfile, pickle and PyTorch have no common base
        renamed = file.with_name(f"{file.name}.damaged")
        file.replace(renamed)
        message = "the checkpoint %s is damaged (%s); it is renamed to %s, and training starts again"
        logger.warning(message, file, error, renamed.name)
        return None


def last_trainer_checkpoint(folder: Path) -> Path | None:
    """Return the newest intact ``checkpoint-<step>`` of transformers' Trainer. Damaged ones are removed."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    for path in reversed(found):
        try:
            json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))  # the Trainer writes it last
            for file in path.iterdir():
                _check(file)
            return path
        except Exception as error:
            logger.warning("the checkpoint %s is incomplete or damaged (%s); it is removed", path, error)
            shutil.rmtree(path, ignore_errors=True)
    return None


def _check(file: Path) -> None:
    """Raise an error if a file of PyTorch or safetensors is truncated, or a checksum is wrong."""
    if file.suffix in (".pt", ".pth", ".bin"):
        with zipfile.ZipFile(file) as archive:
            if wrong := archive.testzip():
                raise ValueError(f"{wrong} in it has a wrong checksum")
    elif file.suffix == ".safetensors":
        with safe_open(file, framework="pt"):
            pass
