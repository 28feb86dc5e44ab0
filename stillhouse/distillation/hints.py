"""What the simple model gives the teacher: the file between the control and the teacher stage.

Where the teacher is not regularised this is the same empty note whatever the control learnt, so that a change
to the student, its settings or its code, never trains the teacher again. Where it learns along with a peer, the
note carries the digest of the students' code, so that a change to that does.
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
    """``logits`` float32 (training texts, classes) for ``reversed``; a network and its vocabulary for ``mutual``."""

    kind: str
    logits: np.ndarray | None = None
    network: Network | None = None
    tokenizer: Tokenizer | None = None


def write_hints(kind: str, student: Student, train: Dataset, folder: Path) -> None:
    """Write what a teacher with ``teacher.regularise: <kind>`` will ask of ``student``, trained on ``train``."""
    folder.mkdir()
    note: dict[str, object] = {"regularise": kind}
    if kind == "reversed":
        np.save(folder / "logits.npy", student_logits(student, train, torch.device("cpu")))
    elif kind == "mutual":
        note |= {"network": student.settings.model_dump(), "code_md5": _code_digest()}
        student.tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "hints.json").write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")


def _code_digest() -> str:
    files = sorted(Path(students.__file__).parent.rglob("*.py"))
    return hashlib.md5(b"".join(file.read_bytes() for file in files), usedforsecurity=False).hexdigest()


def read_hints(folder: Path) -> Hints:
    """What :func:`write_hints` wrote."""
    note = json.loads((folder / "hints.json").read_text(encoding="utf-8"))
    if note["regularise"] == "reversed":
        return Hints("reversed", logits=np.load(folder / "logits.npy"))
    if note["regularise"] == "mutual":
        tokenizer = load_vocabulary(folder / "tokenizer.json")
        return Hints("mutual", network=Network.model_validate(note["network"]), tokenizer=tokenizer)
    return Hints("none")
