"""Receipts: the stages ``register`` and ``deploy`` record the version that they registered in ``receipt.json``."""

import json
from pathlib import Path
from typing import Any

from stillhouse.tracking.identity import classes_in, store_name
from stillhouse.tracking.registry import DIGEST_TAG, Version, get_version, tag_of


def receipt_of(version: Version, digest: str, model: Path) -> dict[str, Any]:
    """The content of a receipt for ``version``.

    Args:
        version: the registered version.
        digest: of the version (:func:`~stillhouse.tracking.identity.model_digest`).
        model: the folder of the model.
    """
    content = {"digest": digest, "classes": classes_in(model), "store": store_name()}
    return {"name": version.name, "version": version.number, **content}


def is_missing(receipt: Path, name: str) -> bool:
    """Whether the version in the file ``receipt`` is not registered under ``name`` in the present store.

    Name, store, number and digest (which covers the classes) must agree: another store, or another project in the same
    store, can have a version with the same number.

    Returns:
        False also if the receipt is missing or cannot be read, because DVC then restores it or runs the stage.
    """
    try:
        content = json.loads(receipt.read_text(encoding="utf-8"))
        place, number = (content["name"], content["store"]), content["version"]
        digest = content["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if place != (name, store_name()):
        return True
    version = get_version(name, number)
    return version is None or tag_of(version, DIGEST_TAG) != digest
