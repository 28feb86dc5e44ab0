"""What makes a registered version the one it is: its files, the code that serves them, and its store."""

import hashlib
import json
import re
from pathlib import Path

from stillhouse.provenance import file_md5, folder_md5
from stillhouse.tracking.store import tracking_uri

HERE = Path(__file__).parent
SERVED = HERE / "served.py"
SERVING = (HERE.parent / "classifier.py", HERE.parent / "chunks.py")  # modules that served.py imports


def model_digest(model: Path) -> str:
    """One digest for a folder that the compress stage wrote and for the code that will serve it.

    The same weights under corrected code answer differently, so they are another version.
    """
    lines = [f"model {folder_md5(model)}", *(f"{file.name} {file_md5(file)}" for file in (*SERVING, SERVED))]
    return hashlib.md5("\n".join(lines).encode(), usedforsecurity=False).hexdigest()


def classes_in(model: Path) -> list[str]:
    """The classes that the model in the folder ``model`` answers with, in its order."""
    labels: list[str] = json.loads((model / "config.json").read_text(encoding="utf-8"))["labels"]
    return labels


def store_name() -> str:
    """Which tracking store this is: ``mlflow.db`` for the project's own, so that clones agree; else its address.

    User names and passwords are left out: they change, and are nobody else's to see.
    """
    uri = tracking_uri()
    if uri == f"sqlite:///{Path('mlflow.db').resolve()}":
        return "mlflow.db"
    return re.sub(r"://[^/@]*@", "://", uri).partition("?")[0].rstrip("/")
