"""The fine-tuned teacher, and what it answers."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from stillhouse.models.encoder import HEAD, EncoderClassifier
from stillhouse.provenance import folder_md5


@dataclass
class Teacher:
    """A sequence classifier with its tokenizer and the number of tokens it reads of each text."""

    model: PreTrainedModel | EncoderClassifier
    tokenizer: PreTrainedTokenizerBase
    max_length: int

    def logits(self, texts: Sequence[str], batch_size: int, bf16: bool = False) -> np.ndarray:
        """Logits, float32 of shape ``(len(texts), classes)``, computed in length-sorted batches."""
        result = np.empty((len(texts), self.model.config.num_labels), np.float32)
        for rows, _, output in self.batches(texts, batch_size, bf16):
            result[rows] = output.logits.float().cpu().numpy()
        return result

    def batches(
        self, texts: Sequence[str], batch_size: int, bf16: bool = False, states: bool = False
    ) -> Iterator[tuple[np.ndarray, Any, Any]]:
        """Batches of texts of similar length: their rows in ``texts``, their tokens, and the model's output.

        With ``states`` the output has ``hidden_states``, of which the last is (batch, length, hidden size).
        """
        self.model.eval()
        device = self.model.device
        tokens = self.tokenizer(list(texts), truncation=True, max_length=self.max_length)
        order = np.argsort([-len(ids) for ids in tokens["input_ids"]], kind="stable")
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                batch = self.tokenizer.pad(
                    {key: [values[row] for row in rows] for key, values in tokens.items()},
                    return_tensors="pt",
                ).to(device)
                yield rows, batch, self.model(**batch, output_hidden_states=states)


def teacher_md5(teacher: Teacher) -> str:
    """One digest for what a teacher computes: its weights, configuration, tokenizer and length."""
    settings = f"{teacher.max_length} {teacher.model.config.to_json_string()}"
    digest = hashlib.md5(settings.encode(), usedforsecurity=False)
    for name, tensor in sorted(teacher.model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    with TemporaryDirectory() as folder:
        teacher.tokenizer.save_pretrained(folder)
        digest.update(folder_md5(Path(folder)).encode())
    return digest.hexdigest()


def load_teacher(folder: Path, max_length: int, device: torch.device) -> Teacher:
    """A fine-tuned teacher saved by the teacher stage, in evaluation mode."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    model: PreTrainedModel | EncoderClassifier
    if (folder / HEAD).exists():
        model = EncoderClassifier.from_pretrained(folder)
    else:
        model = AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True)
    return Teacher(model.to(device).eval(), AutoTokenizer.from_pretrained(folder), max_length)
