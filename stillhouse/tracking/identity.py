"""What identifies a registered version: its files, the code that serves them, and its store."""

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
)


def model_digest(model: Path) -> str:
    """One digest of a folder that the stage ``compress`` wrote and of the code that will serve it.

    Corrected code can predict differently with the same weights, so it makes another version.
    """
    lines = [f"model {folder_md5(model)}", *(f"{file.name} {file_md5(file)}" for file in (*SERVING, SERVED))]
    return hashlib.md5("\n".join(lines).encode(), usedforsecurity=False).hexdigest()


def classes_in(model: Path) -> list[str]:
    """The classes of the model in the folder ``model``, in the order of its output."""
    labels: list[str] = json.loads((model / "config.json").read_text(encoding="utf-8"))["labels"]
    return labels


def store_name() -> str:
    """The name of the tracking store: ``mlflow.db`` for the project's own, so that clones agree; else its address.

    The name has no user name and no password: they change, and they are secret.
    """
    uri = tracking_uri()
    if uri == f"sqlite:///{Path('mlflow.db').resolve()}":
        return "mlflow.db"
    return re.sub(r"://[^/@]*@", "://", uri).partition("?")[0].rstrip("/")
