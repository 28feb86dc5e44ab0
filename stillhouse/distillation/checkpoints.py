"""Where an interrupted training left off: files that are written whole and checked before they are read."""

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
    """Write tensors and plain values to ``file``; a crash, of the machine too, leaves the checkpoint that was there."""
    with replacing(file) as partial, partial.open("wb") as target:
        torch.save(state, target)
        target.flush()
        os.fsync(target.fileno())


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
