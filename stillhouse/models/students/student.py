"""Builds, saves, loads and runs students."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from datasets import Dataset
from safetensors.torch import load_model, save_model
from tokenizers import Tokenizer
from torch import Tensor, nn

from stillhouse.data.encoded import Encoded, batches, encode_texts
from stillhouse.data.vocabulary import load_vocabulary
from stillhouse.models.initialisation import initialise
from stillhouse.models.students.architectures import ARCHITECTURES
from stillhouse.models.students.network import TextNetwork
from stillhouse.params import Network
from stillhouse.params.student import WHOLE

EVALUATION_BATCH = 256


@dataclass
class Student:
    """A network with its tokenizer, the names of its classes and its settings."""

    network: TextNetwork
    tokenizer: Tokenizer
    label_names: list[str]
    settings: Network


@dataclass(frozen=True)
class Start:
    """An initialisation of a new network, and a digest of everything that it depends on."""

    apply: Callable[[TextNetwork], None]
    digest: str


def build_student(
    tokenizer: Tokenizer, label_names: list[str], settings: Network, embedding: Tensor | None = None
) -> Student:
    """Return a newly initialised student. ``embedding`` (vocabulary, dimension) replaces random word vectors."""
    network = ARCHITECTURES[settings.architecture](tokenizer.get_vocab_size(), len(label_names), settings)
    initialise(network, settings.initialisation, embedding)
    return Student(network, tokenizer, label_names, settings)


def save_student(student: Student, folder: Path) -> None:
    """Write ``model.safetensors``, ``tokenizer.json`` and ``config.json`` into ``folder``.

    The weights of a whole teacher are not written: see :func:`~stillhouse.models.students.whole.copy_whole`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if student.settings.architecture != WHOLE:  # else the caller copies the teacher
        save_model(student.network, str(folder / "model.safetensors"))
    student.tokenizer.save(str(folder / "tokenizer.json"))
    config = {"labels": student.label_names, "network": student.settings.model_dump()}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def load_student(folder: Path) -> Student:
    """Load a student of :func:`save_student`, in evaluation mode on the CPU."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    settings = Network.model_validate(config["network"])
    if settings.architecture == WHOLE:
        from stillhouse.models.students.whole import FOLDER, load_whole

        whole, tokenizer = load_whole(folder / FOLDER, settings.max_length)
        return Student(whole, tokenizer, config["labels"], settings)
    tokenizer = load_vocabulary(folder / "tokenizer.json")
    network = ARCHITECTURES[settings.architecture](tokenizer.get_vocab_size(), len(config["labels"]), settings)
    load_model(network, str(folder / "model.safetensors"))
    return Student(network.eval(), tokenizer, config["labels"], settings)


@torch.inference_mode()
def predict_logits(network: nn.Module, encoded: Encoded, device: torch.device) -> np.ndarray:
    """Return logits, float32 of shape ``(texts, classes)``, in the order of the texts."""
    network.eval().to(device)
    result: np.ndarray | None = None
    for rows in batches(encoded.lengths, EVALUATION_BATCH):
        logits = network(torch.from_numpy(encoded.padded(rows)).to(device)).float().cpu().numpy()
        if result is None:
            result = np.empty((len(encoded), logits.shape[1]), dtype=np.float32)
        result[rows] = logits
    assert result is not None
    return result


def student_logits(student: Student, texts: Dataset, device: torch.device) -> np.ndarray:
    """Return logits of the column ``text``, float32 of shape ``(texts, classes)``, all in memory."""
    if not len(texts):
        return np.zeros((0, len(student.label_names)), np.float32)
    with TemporaryDirectory() as scratch:
        encoded = encode_texts([texts], student.tokenizer, student.settings.reads, Path(scratch) / "ids")
        return predict_logits(student.network, encoded, device)
