"""What is written into a finished model's ``config.json``: the digests of its files, and a threshold."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from stillhouse.serving.files import MIN_CONFIDENCE, PROMISES


def write_digests(folder: Path) -> None:
    """Write the SHA-256 of every other file in ``folder`` into its ``config.json``; ``Classifier.load`` checks them."""
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    others = sorted(other for other in folder.iterdir() if other != file)
    config["sha256"] = {other.name: hashlib.sha256(other.read_bytes()).hexdigest() for other in others}
    file.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


NONE: Mapping[str, float] = MappingProxyType({})


def copy_with_threshold(
    model: Path, folder: Path, min_confidence: float | None, promises: Mapping[str, float] = NONE
) -> Path:
    """Copy ``model`` to the new ``folder``, with a threshold and its promises unless it is None. Returns ``folder``."""
    shutil.copytree(model, folder, copy_function=shutil.copyfile)  # DVC's files are read-only
    if min_confidence is not None:
        set_threshold(folder, min_confidence, promises)
    return folder


def set_threshold(folder: Path, min_confidence: float, promises: Mapping[str, float] = NONE) -> None:
    """Write the threshold of :meth:`~stillhouse.serving.classifier.Classifier.answer` into ``config.json``.

    Args:
        folder: of the model.
        min_confidence: a text whose probability is lower is deferred, 0 to 1.
        promises: what was certified with it (:func:`stillhouse.evaluation.confidence.promises_of`).
    """
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config |= {MIN_CONFIDENCE: min_confidence, PROMISES: dict(promises)}
    file.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
