"""The identity of a registered version: digest of its files and serving code, classes, name of the store."""

import hashlib
import json
import re
from pathlib import Path

from stillhouse.provenance import file_md5, folder_md5
from stillhouse.tracking.address import tracking_uri

PACKAGE = Path(__file__).parent.parent
SERVED = PACKAGE / "serving" / "mlflow_model.py"
# The modules that SERVED imports. A registered version carries copies of them.
SERVING = (
    PACKAGE / "task.py",
    PACKAGE / "serving" / "answers.py",
    PACKAGE / "serving" / "chunks.py",
    PACKAGE / "serving" / "classifier.py",
    PACKAGE / "serving" / "files.py",
    PACKAGE / "serving" / "hashing.py",
    PACKAGE / "serving" / "networks.py",
)


def model_digest(model: Path) -> str:
    """One MD5 of the model's folder, which the stage ``compress`` wrote, and of the code that serves it.

    The code is part of it because changed code can predict differently with the same weights.
    """
    lines = [f"model {folder_md5(model)}", *(f"{file.name} {file_md5(file)}" for file in (*SERVING, SERVED))]
    return hashlib.md5("\n".join(lines).encode(), usedforsecurity=False).hexdigest()


def classes_in(model: Path) -> list[str]:
    """The classes of the model in the folder ``model``, in the order of its outputs."""
    labels: list[str] = json.loads((model / "config.json").read_text(encoding="utf-8"))["labels"]
    return labels


def store_name() -> str:
    """The name of the tracking store: its address without user name, password and query.

    User name and password are secret and may change. The project's own store is ``mlflow.db``, which is the same in
    every clone of the project.
    """
    uri = tracking_uri()
    if uri == f"sqlite:///{Path('mlflow.db').resolve()}":
        return "mlflow.db"
    return re.sub(r"://[^/@]*@", "://", uri).partition("?")[0].rstrip("/")
