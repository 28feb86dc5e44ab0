"""The fine-tuned teacher, and its outputs."""

import hashlib
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from stillhouse.data.encoded import batches, longest_first
from stillhouse.errors import BadInput
from stillhouse.models import finished
from stillhouse.models.batching import CPU_BATCH, SIZES, ShrinkingBatches, fastest_size, pad, prefetched, timed_rate
from stillhouse.models.encoder import HEAD, EncoderClassifier
from stillhouse.models.finished import FinishedClassifier, load_classes
from stillhouse.models.pooling import PoolingConfig
from stillhouse.provenance import folder_md5

WITHOUT_MACHINE = "head-without-machine.safetensors"  # a head that did not learn from a machine's labels
PREFETCHED = 2  # batches that are made while the GPU computes


@dataclass
class Teacher:
    """A sequence classifier with its tokenizer, its maximal number of tokens a text, and its prompt."""

    model: PreTrainedModel | EncoderClassifier | FinishedClassifier
    tokenizer: PreTrainedTokenizerBase
    max_length: int
    prompt: str = ""

    def tokens(self, texts: Sequence[str], **options: Any) -> dict[str, list[list[Any]]]:
        """Tokenize the texts, each after the prompt and truncated to ``max_length`` tokens.

        Returns:
            For each input of the model one list a text, not padded.
        """
        prompted = [self.prompt + text for text in texts]
        return dict(self.tokenizer(prompted, truncation=True, max_length=self.max_length, **options))

    def logits(self, texts: Sequence[str], batch_size: int, bf16: bool = False) -> np.ndarray:
        """Return logits, float32 of shape ``(len(texts), classes)``, computed in length-sorted batches."""
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
        """Yield batches of texts of similar length: their rows in ``texts``, their tokens, and the model's output.

        If the GPU's memory does not suffice for a batch, this batch and all later ones become smaller.

        Args:
            texts: the texts to read.
            batch_size: texts at once.
            bf16: compute in bfloat16 where PyTorch's autocast does.
            states: the output has the states that :func:`~stillhouse.models.encoder.last_states` reads.
            tokens: the result of :meth:`tokens` if it was computed before.
        """
        self.model.eval()
        device = self.model.device
        found = self.tokens(texts) if tokens is None else tokens
        chosen = batches([len(ids) for ids in found["input_ids"]], batch_size)
        padded = ((rows, self._padded(found, rows)) for rows in chosen)
        shrinking = ShrinkingBatches(batch_size)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            for rows, batch in prefetched(padded, PREFETCHED if device.type == "cuda" else 0):
                on_device = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
                for part, (tensors, output) in shrinking.run(len(rows), partial(self._forward, on_device, states)):
                    yield rows[part], tensors, output

    def fastest_batch(self, texts: Sequence[str], bf16: bool = False) -> int:
        """Return the fastest batch size: 32 on a CPU; on a GPU it is measured.

        The GPU computes the longest of ``texts`` with batch sizes 32, 64, ... 1024. The result depends on timings.
        """
        device = self.model.device
        if device.type != "cuda":
            return CPU_BATCH
        self.model.eval()
        found = self.tokens(texts)
        order = longest_first([len(ids) for ids in found["input_ids"]])

        def rate(size: int) -> float:
            batch = {name: tensor.to(device) for name, tensor in self._padded(found, order[:size]).items()}
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                return timed_rate(lambda: self.model(**batch, output_hidden_states=True), size, device)

        size = fastest_size(rate, tuple(size for size in SIZES if size == CPU_BATCH or size <= len(order)))
        torch.cuda.empty_cache()
        return size

    def _padded(self, tokens: dict[str, list[list[int]]], rows: np.ndarray) -> dict[str, Tensor]:
        batch = pad(tokens, rows, self.tokenizer)
        if self.model.device.type == "cuda":
            return {name: tensor.pin_memory() for name, tensor in batch.items()}  # copied while the GPU computes
        return batch

    def _forward(self, batch: dict[str, Tensor], states: bool, part: slice) -> tuple[dict[str, Tensor], Any]:
        tensors = {name: tensor[part] for name, tensor in batch.items()}
        return tensors, self.model(**tensors, output_hidden_states=states)

    def save(self, folder: Path) -> None:
        """Write the model, its tokenizer and its pooling (:meth:`PoolingConfig.save`) for :func:`load_teacher`."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        own_head = PoolingConfig(poolings=(), prompt=self.prompt)
        (self.model.pooling.config if isinstance(self.model, EncoderClassifier) else own_head).save(folder)


def teacher_md5(teacher: Teacher) -> str:
    """Return one digest of weights, configuration, tokenizer, prompt and maximal length."""
    settings = f"{teacher.max_length} {teacher.prompt!r} {teacher.model.config.to_json_string()}"
    if isinstance(teacher.model, EncoderClassifier):
        settings += f" {teacher.model.pooling.config}"
    digest = hashlib.md5(settings.encode(), usedforsecurity=False)
    for name, tensor in sorted(teacher.model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    with TemporaryDirectory() as folder:
        teacher.tokenizer.save_pretrained(folder)
        digest.update(folder_md5(Path(folder)).encode())
    return digest.hexdigest()


def load_teacher(folder: Path, max_length: int, device: torch.device) -> Teacher:
    """Load a teacher that the stage ``teacher`` saved, in evaluation mode."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    model: PreTrainedModel | EncoderClassifier
    if (folder / HEAD).exists():
        model = EncoderClassifier.from_pretrained(folder)
    else:
        model = AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    adapt_tokenizer(tokenizer, model)
    classifier = load_classes(model, folder) if (folder / finished.FILE).exists() else model
    return Teacher(classifier.to(device).eval(), tokenizer, max_length, PoolingConfig.load(folder).prompt)


def adapt_tokenizer(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel | EncoderClassifier) -> None:
    """Make ``tokenizer`` return the inputs of ``model``, and give it a padding token if it has none.

    Raises:
        BadInput: the model cannot mask padding, or the tokenizer has no token for padding.
    """
    network = model.encoder if isinstance(model, EncoderClassifier) else model
    inputs = inspect.signature(network.forward).parameters
    if "attention_mask" not in inputs:
        raise BadInput(
            f"teacher.model: a {model.config.model_type} takes no attention mask, so it reads padding like text. Use "
            "another teacher."
        )
    names = [name for name in tokenizer.model_input_names if name in inputs]
    names += [] if "attention_mask" in names else ["attention_mask"]
    if names != tokenizer.model_input_names:
        tokenizer.model_input_names = names
    if tokenizer.pad_token is None:  # decoders such as GPT-2 have none
        spare = [tokenizer.eos_token, tokenizer.sep_token, tokenizer.unk_token, tokenizer.bos_token]
        found = next((token for token in spare if token is not None), None)
        if found is None:
            raise BadInput("teacher.model: its tokenizer has no special token to pad with (pad_token in its config).")
        tokenizer.pad_token = found
    model.config.pad_token_id = tokenizer.pad_token_id


def adapt_embeddings(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel | EncoderClassifier) -> None:
    """Add a vector to the model for each token that was added to the tokenizer only.

    Raises:
        BadInput: the original vocabulary of the tokenizer is larger than that of the model.
    """
    table = model.get_input_embeddings()
    assert isinstance(table, nn.Embedding)
    largest = max(tokenizer.get_vocab().values(), default=0)
    if largest < table.num_embeddings:
        return
    if tokenizer.vocab_size > table.num_embeddings:
        raise BadInput(
            f"teacher.model: its tokenizer has {tokenizer.vocab_size:,} tokens, its model vectors for "
            f"{table.num_embeddings:,}. They are not of the same checkpoint."
        )
    network = model.encoder if isinstance(model, EncoderClassifier) else model
    network.resize_token_embeddings(largest + 1)
