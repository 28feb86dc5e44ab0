"""The registered model's name if ``register.name`` is ``auto``, and the name of the data's source."""

import hashlib
import os
import re
import unicodedata
from pathlib import Path

from stillhouse.params.data import Data

AUTO = "auto"
SAMPLE = "bbc-news"
LONGEST = 80  # maximum length of a name in characters
# Names that do not describe the texts: the name of the parent folder is used instead.
GENERIC = {"data", "dataset", "datasets", "train", "training", "texts", "files", "input", "inputs", "csv", "raw"}
ENDINGS = re.compile(r"(\.(csv|tsv|jsonl|json|parquet|txt|gz|bz2|xz|zst|zip))+$", re.IGNORECASE)


def name_of(data: Data) -> str:
    """A name for the model of ``data``, of letters and digits of any script and ``_ ( ) + , -``.

    It is the name of the file, folder or hub dataset. If that is as general as ``data`` or ``train``, it is the name
    of the parent folder. If the name has other characters, a digest is appended, so that two names stay different.
    """
    if data.source == "sample":
        return SAMPLE
    if data.source == "hub":
        parts = [part for part in str(data.hub_id).replace(os.sep, "/").split("/") if part not in ("", ".", "..")]
    else:
        # Links are not resolved, because DVC may have replaced the file by a link into its cache.
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
    """The source of the texts, its place and the columns, as text. It is the same in every clone of a project."""
    where = "/".join(filter(None, [data.hub_id, data.hub_config])) if data.source == "hub" else data.place
    return f"{data.source}: {where} ({data.text_column}, {data.label_column or 'no labels'})" if where else data.source
