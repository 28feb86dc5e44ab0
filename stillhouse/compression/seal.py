"""Digests of a model's files, by which a damaged file is refused."""

import hashlib
import json
from pathlib import Path


def write_digests(folder: Path) -> None:
    """Write the SHA-256 of every other file in ``folder`` into its ``config.json``; ``Classifier.load`` checks them."""
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    others = sorted(other for other in folder.iterdir() if other != file)
    config["sha256"] = {other.name: hashlib.sha256(other.read_bytes()).hexdigest() for other in others}
    file.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
