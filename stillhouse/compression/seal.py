"""What is written into a finished model's ``config.json``: the digests of its files, and a threshold."""

import hashlib
import json
from pathlib import Path

from stillhouse.serving.files import MIN_CONFIDENCE


def write_digests(folder: Path) -> None:
    """Write the SHA-256 of every other file in ``folder`` into its ``config.json``; ``Classifier.load`` checks them."""
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    others = sorted(other for other in folder.iterdir() if other != file)
    config["sha256"] = {other.name: hashlib.sha256(other.read_bytes()).hexdigest() for other in others}
    file.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def set_threshold(folder: Path, min_confidence: float) -> None:
    """Write the threshold of :meth:`~stillhouse.serving.classifier.Classifier.answer` into ``config.json``.

    Args:
        folder: of the model.
        min_confidence: a text whose probability is lower is deferred, 0 to 1.
    """
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8")) | {MIN_CONFIDENCE: min_confidence}
    file.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
