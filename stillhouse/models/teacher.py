"""The fine-tuned teacher, and what it answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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


@dataclass
class Teacher:
    """A sequence classifier with its tokenizer and the number of tokens it reads of each text."""

    model: PreTrainedModel | EncoderClassifier
    tokenizer: PreTrainedTokenizerBase
    max_length: int

    def logits(self, texts: Sequence[str], batch_size: int, bf16: bool = False) -> np.ndarray:
        """Logits, float32 of shape ``(len(texts), classes)``, computed in length-sorted batches."""
        self.model.eval()
        device = self.model.device
        tokens = self.tokenizer(list(texts), truncation=True, max_length=self.max_length)
        order = np.argsort([-len(ids) for ids in tokens["input_ids"]], kind="stable")
        result: np.ndarray | None = None
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                batch = self.tokenizer.pad(
                    {key: [values[row] for row in rows] for key, values in tokens.items()},
                    return_tensors="pt",
                ).to(device)
                logits = self.model(**batch).logits.float().cpu().numpy()
                result = np.empty((len(texts), logits.shape[1]), np.float32) if result is None else result
                result[rows] = logits
        assert result is not None
        return result


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
