"""The students and the baseline that the stage ``evaluate`` compares, each as a :class:`Candidate`."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from stillhouse.data.encoded import batches
from stillhouse.evaluation.baseline import TfidfSvm
from stillhouse.evaluation.candidate import Candidate, folder_bytes
from stillhouse.models.students.student import load_student
from stillhouse.params.sizes import SIZES
from stillhouse.serving.classifier import Classifier
from stillhouse.task import TASK


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
