"""The fine-tuned teacher, and what it answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from stillhouse.models.batching import CPU_BATCH, SIZES, Portions, ahead, fastest_size, timed_rate
from stillhouse.models.encoder import HEAD, EncoderClassifier

AHEAD = 2  # batches for a GPU that are made while it computes


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
        self,
        texts: Sequence[str],
        batch_size: int,
        bf16: bool = False,
        states: bool = False,
        tokens: dict[str, list[list[int]]] | None = None,
    ) -> Iterator[tuple[np.ndarray, dict[str, Tensor], Any]]:
        """Batches of texts of similar length: their rows in ``texts``, their tokens, and the model's output.

        Where a GPU's memory does not suffice for a batch, it and the later ones become smaller.

        Args:
            texts: what to read.
            batch_size: texts at once.
            bf16: compute in bfloat16 where PyTorch's autocast does.
            states: the output has ``hidden_states``, of which the last is (batch, length, hidden size).
            tokens: those of ``texts``, where :meth:`tokens` was called before.
        """
        self.model.eval()
        device = self.model.device
        found = self.tokens(texts) if tokens is None else tokens
        order = np.argsort([-len(ids) for ids in found["input_ids"]], kind="stable")
        chosen = (order[start : start + batch_size] for start in range(0, len(order), batch_size))
        padded = ((rows, self._padded(found, rows)) for rows in chosen)
        portions = Portions(batch_size)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            for rows, batch in ahead(padded, AHEAD if device.type == "cuda" else 0):
                moved = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
                for part, (tensors, output) in portions.of(len(rows), partial(self._ask, moved, states)):
                    yield rows[part], tensors, output

    def tokens(self, texts: Sequence[str]) -> dict[str, list[list[int]]]:
        """What the tokenizer makes of ``texts``: for each of the model's inputs one list a text, not padded."""
        return dict(self.tokenizer(list(texts), truncation=True, max_length=self.max_length))

    def fastest_batch(self, texts: Sequence[str], bf16: bool = False) -> int:
        """Texts at once with which the model answers fastest: 32, or on a GPU what some of ``texts`` show.

        A GPU is given the longest of ``texts``, 32, 64, ... 1024 at once. The choice depends on timings.
        """
        device = self.model.device
        if device.type != "cuda":
            return CPU_BATCH
        self.model.eval()
        found = self.tokens(texts)
        order = np.argsort([-len(ids) for ids in found["input_ids"]], kind="stable")

        def rate(size: int) -> float:
            batch = {name: tensor.to(device) for name, tensor in self._padded(found, order[:size]).items()}
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                return timed_rate(lambda: self.model(**batch, output_hidden_states=True), size, device)

        size = fastest_size(rate, tuple(size for size in SIZES if size == CPU_BATCH or size <= len(order)))
        torch.cuda.empty_cache()
        return size

    def _padded(self, tokens: dict[str, list[list[int]]], rows: np.ndarray) -> dict[str, Tensor]:
        chosen = {name: [values[row] for row in rows] for name, values in tokens.items()}
        batch = dict(self.tokenizer.pad(chosen, return_tensors="pt"))
        if self.model.device.type == "cuda":
            return {name: tensor.pin_memory() for name, tensor in batch.items()}  # copied while the GPU computes
        return batch

    def _ask(self, batch: dict[str, Tensor], states: bool, part: slice) -> tuple[dict[str, Tensor], Any]:
        tensors = {name: tensor[part] for name, tensor in batch.items()}
        return tensors, self.model(**tensors, output_hidden_states=states)


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
