"""What the stages ``register`` and ``deploy`` leave: a receipt for the version that they registered."""

import json
from pathlib import Path
from typing import Any

from stillhouse.tracking.identity import classes_in, store_name
from stillhouse.tracking.registry import DIGEST_TAG, Version, get_version, tag_of


def receipt_of(version: Version, digest: str, model: Path) -> dict[str, Any]:
    """What a stage leaves about the version that it registered: enough for :func:`is_missing`."""
    content = {"digest": digest, "classes": classes_in(model), "store": store_name()}
    return {"name": version.name, "version": version.number, **content}


def is_missing(receipt: Path, name: str) -> bool:
    """Whether the version that a stage's ``receipt.json`` names is not in this store under ``name``.

    The number alone says little: another store, or another project in the same one, has versions of the same
    number. So the store and the version's digest (which covers its classes) are compared, too.

    Not so where there is no receipt, or none that can be read: DVC then restores it or runs the stage.
    """
    try:
        noted = json.loads(receipt.read_text(encoding="utf-8"))
        known, number = (noted["name"], noted["store"]), noted["version"]
        digest = noted["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if known != (name, store_name()):
        return True
    version = get_version(name, number)
    return version is None or tag_of(version, DIGEST_TAG) != digest
