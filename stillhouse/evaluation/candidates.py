"""The models that the stage ``evaluate`` compares, each as a :class:`Candidate`."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from stillhouse.data.encoded import batches
from stillhouse.distillation.probe import classifier_head
from stillhouse.evaluation.baseline import TfidfSvm
from stillhouse.evaluation.candidate import Candidate, folder_bytes
from stillhouse.evaluation.machine import WITHOUT
from stillhouse.models.members import Member, mean_probabilities
from stillhouse.models.students.student import load_student
from stillhouse.models.teacher import WITHOUT_MACHINE, Teacher, load_teacher
from stillhouse.params.sizes import SIZES
from stillhouse.serving.classifier import Classifier
from stillhouse.task import TASK


def teacher_candidates(
    teachers: Sequence[Member], first: Path, others: Path, batch_size: int, known: np.ndarray
) -> list[Candidate]:
    """The teacher in PyTorch on the CPU, because the students run on the CPU.

    With several teachers, ``teacher`` is the weighted mean of their probabilities, and each of them follows alone.

    Args:
        teachers: the members.
        first, others: the folders of :meth:`Member.folder`.
        batch_size: texts at once.
        known: probabilities of ``teacher`` for the test texts.
    """
    alone = [
        teacher_candidate(one.folder(first, others) / "model", one.max_length, batch_size, one.name) for one in teachers
    ]
    if len(alone) == 1:
        return [replace(alone[0], known=known)]
    weights = [one.weight for one in teachers]

    def predict(texts: Sequence[str]) -> np.ndarray:
        return mean_probabilities([candidate.predict(texts) for candidate in alone], weights)

    return [Candidate("teacher", predict, sum(candidate.bytes for candidate in alone), known), *alone]


def teacher_candidate(folder: Path, max_length: int, batch_size: int, name: str = "teacher") -> Candidate:
    """One trained teacher in PyTorch on the CPU."""
    return _teacher(load_teacher(folder, max_length, torch.device("cpu")), folder, batch_size, name)


def without_machine_candidate(folder: Path, max_length: int, batch_size: int) -> Candidate | None:
    """The teacher whose head did not learn from a machine's labels; None if there is no such head."""
    if not (folder / WITHOUT_MACHINE).exists():
        return None
    teacher = load_teacher(folder, max_length, torch.device("cpu"))
    head = classifier_head(teacher.model, teacher.model.config.num_labels)
    assert head is not None
    head.load_state_dict(load_file(str(folder / WITHOUT_MACHINE)))
    return _teacher(teacher, folder, batch_size, WITHOUT)


def _teacher(teacher: Teacher, folder: Path, batch_size: int, name: str) -> Candidate:
    def predict(texts: Sequence[str]) -> np.ndarray:
        return TASK.probabilities(teacher.logits(texts, batch_size))

    return Candidate(name, predict, folder_bytes(folder))


def student_candidate(name: str, folder: Path, batch_size: int) -> Candidate:
    """A student or the control in PyTorch on the CPU, tokenizing included."""
    student = load_student(folder)
    student.tokenizer.no_padding()
    student.tokenizer.enable_truncation(student.settings.reads)

    def predict(texts: Sequence[str]) -> np.ndarray:
        encodings = student.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        ids = [torch.tensor(encoding.ids, dtype=torch.int64) for encoding in encodings]
        result = np.empty((len(ids), len(student.label_names)), dtype=np.float32)
        with torch.inference_mode():
            for rows in batches([len(row) for row in ids], batch_size):
                batch = torch.nn.utils.rnn.pad_sequence([ids[row] for row in rows], batch_first=True)
                result[rows] = student.network(batch if batch.shape[1] else batch.new_zeros(len(rows), 1)).numpy()
        return TASK.probabilities(result)

    return Candidate(name, predict, folder_bytes(folder))


def compressed_candidate(folder: Path) -> Candidate:
    """The compressed student, as it is registered and served."""
    return Candidate("compressed student", Classifier.load(folder).predict_proba, folder_bytes(folder))


def smaller_candidates(folder: Path) -> list[Candidate]:
    """The compressed students of the sizes that were too small; each has a folder in ``folder``."""
    return [
        Candidate(f"student ({name})", Classifier.load(folder / name).predict_proba, folder_bytes(folder / name))
        for name in json.loads((folder / SIZES).read_text(encoding="utf-8"))
    ]


def svm_candidate(texts: Sequence[str], labels: np.ndarray, seed: int) -> Candidate:
    """TF-IDF + linear SVM, trained in this call on ``texts`` and class numbers ``labels`` (texts,)."""
    model = TfidfSvm(seed).fit(texts, labels)
    return Candidate("TF-IDF + SVM", model.predict, model.bytes)
