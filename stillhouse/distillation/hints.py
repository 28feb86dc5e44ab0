"""Hints of the simple model for the teacher: the artefact between the stages ``control`` and ``teacher``.

Without regularisation the hints do not depend on the control. So a change to the student, its settings or its code does
not train the teacher again. With a peer (``mutual``) the hints have a digest of the students' code, so a change to that
code trains the teacher again.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from tokenizers import Tokenizer

from stillhouse.data.vocabulary import load_vocabulary
from stillhouse.models import students
from stillhouse.models.students.student import Student, student_logits
from stillhouse.params import Network


@dataclass(frozen=True)
class Hints:
    """Hints for the teacher.

    Attributes:
        kind: ``reversed``, ``mutual`` or ``none``.
        logits: for ``reversed``, float32 (training texts, classes).
        network: for ``mutual``, the settings of the peer.
        tokenizer: for ``mutual``, the vocabulary of the peer.
    """

    kind: str
    logits: np.ndarray | None = None
    network: Network | None = None
    tokenizer: Tokenizer | None = None


def write_hints(kind: str, student: Student, train: Dataset, folder: Path) -> None:
    """Write the hints of ``student``, trained on ``train``, for a teacher with ``teacher.regularise: <kind>``."""
    folder.mkdir()
    content: dict[str, object] = {"regularise": kind}
    if kind == "reversed":
        np.save(folder / "logits.npy", student_logits(student, train, torch.device("cpu")))
    elif kind == "mutual":
        content |= {"network": student.settings.model_dump(), "code_md5": _code_digest()}
        student.tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "hints.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _code_digest() -> str:
    files = sorted(Path(students.__file__).parent.rglob("*.py"))
    return hashlib.md5(b"".join(file.read_bytes() for file in files), usedforsecurity=False).hexdigest()


def read_hints(folder: Path) -> Hints:
    """Read the folder that :func:`write_hints` wrote."""
    content = json.loads((folder / "hints.json").read_text(encoding="utf-8"))
    if content["regularise"] == "reversed":
        return Hints("reversed", logits=np.load(folder / "logits.npy"))
    if content["regularise"] == "mutual":
        tokenizer = load_vocabulary(folder / "tokenizer.json")
        return Hints("mutual", network=Network.model_validate(content["network"]), tokenizer=tokenizer)
    return Hints("none")
