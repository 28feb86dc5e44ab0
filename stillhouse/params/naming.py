"""The registered model's name where ``register.name`` is ``auto``, and a name for where the data comes from."""

import hashlib
import os
import re
import unicodedata
from pathlib import Path

from stillhouse.params.data import Data

AUTO = "auto"
SAMPLE = "bbc-news"
LONGEST = 80  # characters
# Says nothing of what the texts are: then the name of the folder above is taken.
GENERIC = {"data", "dataset", "datasets", "train", "training", "texts", "files", "input", "inputs", "csv", "raw"}
ENDINGS = re.compile(r"(\.(csv|tsv|jsonl|json|parquet|txt|gz|bz2|xz|zst|zip))+$", re.IGNORECASE)


def name_of(data: Data) -> str:
    """A name for the model of ``data``: letters and digits of any script, and ``_ ( ) + , -``.

    It is that of the file, folder or hub dataset, or of the folder above where that is as general as ``data`` or
    ``train``. Where the allowed characters cannot express it, a digest of it is added, so that two never become one.
    """
    if data.source == "sample":
        return SAMPLE
    if data.source == "hub":
        parts = [part for part in str(data.hub_id).replace(os.sep, "/").split("/") if part not in ("", ".", "..")]
    else:
        # Not resolved: DVC may have made the file a link into its cache.
        parts = list(Path(os.path.abspath(Path(data.path).expanduser())).parts[1:])  # noqa: PTH100
    names = [ENDINGS.sub("", part) for part in reversed(parts)]
    special = [name for name in names if name.lower() not in GENERIC]
    return _allowed((special or names or ["model"])[0])


def _allowed(name: str) -> str:
    text = unicodedata.normalize("NFC", name)
    allowed = re.sub(r"[^\w()+,-]+", "-", text).strip("-")
    lost = re.sub(r"[\s.-]", "", text) != allowed.replace("-", "")
    if not lost and 0 < len(allowed) <= LONGEST:
        return allowed
    digest = hashlib.md5(text.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()[:6]
    return f"{allowed[:LONGEST].rstrip('-') or 'model'}-{digest}"


def source_of(data: Data) -> str:
    """Where the texts come from, the same in every clone of a project: source, place and columns."""
    where = "/".join(filter(None, [data.hub_id, data.hub_config])) if data.source == "hub" else data.place
    return f"{data.source}: {where} ({data.text_column}, {data.label_column})" if where else data.source
