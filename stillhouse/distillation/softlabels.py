"""Computes the soft labels of the transfer set: logits, features and relations of the teacher."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.lib.format import open_memmap
from torch import nn
from tqdm import tqdm

from stillhouse.data.encoded import NO_WORD, word_numbers
from stillhouse.data.vocabulary import MASK
from stillhouse.distillation.probe import head_and_inputs, inputs_of
from stillhouse.distillation.relations import record_last_attention, word_states
from stillhouse.errors import BadInput
from stillhouse.models.batching import prefetched
from stillhouse.models.encoder import hidden_size, last_states
from stillhouse.models.finished import ZeroShotClassifier
from stillhouse.models.pooling import token_mean
from stillhouse.models.teacher import Teacher

TEXTS = 2048  # at least as many texts are tokenized and sorted by length together
BATCHES = 8  # at least as many batches are
ROWS = 10_000  # rows of encoded texts that the head computes at once
ATTENDED = 3  # tensors of the last layer's attention: queries, keys and values


@dataclass(frozen=True)
class ProbeInputs:
    """Inputs of a probe's head, for texts that the stage ``teacher`` encoded.

    Attributes:
        inputs: float32 (encoded texts, size).
        rows: int64 (texts,), the row in ``inputs`` of each text; -1 for a text that was not encoded.
    """

    inputs: np.ndarray
    rows: np.ndarray


def write_soft_labels(
    teacher: Teacher,
    datasets: Sequence[Dataset],
    batch_size: int,
    bf16: bool,
    relation_words: int,
    folder: Path,
    known: ProbeInputs | None = None,
    processes: int = 1,
    source: Path | None = None,
) -> np.ndarray:
    """Write the soft labels of the column ``text`` of all ``datasets`` to ``folder``, for ``read_soft_labels``.

    Texts in ``known`` are not encoded again, unless relations are needed.

    Args:
        teacher: labels the texts.
        datasets: the texts, in the order of the rows that are written.
        batch_size: texts at once.
        bf16: compute in bfloat16 where PyTorch's autocast does.
        relation_words: words of each text with stored relations; 0 for no relations.
        folder: gets ``logits.npy``, ``features.npy`` and ``relations.npy``.
        known: inputs of the head for texts that were encoded before.
        processes: number of processes that share the texts.
        source: for several processes, the folder that ``teacher`` was loaded from.

    Returns:
        The logits, float32 of shape ``(texts, classes)``.

    Raises:
        BadInput: relations are needed, but the teacher, its attention or its tokenizer does not provide them.
    """
    texts = sum(len(dataset) for dataset in datasets)
    head = readable_head(teacher, datasets[0][:1]["text"])
    size = head.in_features if head else hidden_size(teacher.model.config)
    logits = open_memmap(folder / "logits.npy", "w+", np.float32, (texts, teacher.model.config.num_labels))
    features = open_memmap(folder / "features.npy", "w+", np.float16, (texts, size))
    relations = None
    if relation_words:
        if isinstance(teacher.model, ZeroShotClassifier):
            raise BadInput("soft_labels.relation_words: a zero-shot teacher has no relations of its own; set 0.")
        if not teacher.tokenizer.is_fast:
            raise BadInput(
                "soft_labels.relation_words: this teacher's tokenizer returns no positions of its tokens; set 0."
            )
        shape = (texts, 3, relation_words, hidden_size(teacher.model.config))
        relations = open_memmap(folder / "relations.npy", "w+", np.float16, shape)
    known_rows = np.full(texts, -1, np.int64)
    if known and head and not relation_words:
        known_rows = known.rows
        _label_known(head, known, logits, features)
    arrays = [logits, features, *([] if relations is None else [relations])]
    if processes > 1:
        from stillhouse.distillation.parallel.labels import label_on_ranks  # which imports this module

        assert source is not None
        label_on_ranks(teacher, datasets, batch_size, bf16, relation_words, known_rows, folder, source, processes)
    else:
        label_texts(teacher, datasets, batch_size, bf16, relation_words, known_rows, arrays)
    for array in arrays:
        array.flush()
    return logits


def label_texts(
    teacher: Teacher,
    datasets: Sequence[Dataset],
    batch_size: int,
    bf16: bool,
    relation_words: int,
    known_rows: np.ndarray,
    arrays: Sequence[np.ndarray],
    rank: int = 0,
    ranks: int = 1,
) -> None:
    """Write the soft labels of the texts whose ``known_rows`` are -1 into ``arrays``.

    Texts that are sorted by length together are labelled by the same process. So the batches, and on a CPU the bytes,
    do not depend on the number of processes.

    Args:
        teacher: see :func:`write_soft_labels`, also for the next four.
        datasets: the texts.
        batch_size: texts at once.
        bf16: compute in bfloat16.
        relation_words: words of each text with relations.
        known_rows: int64 (texts,), -1 for a text to label.
        arrays: logits, features and, with ``relation_words``, relations.
        rank: the number of this process.
        ranks: the number of processes.
    """
    head = readable_head(teacher, datasets[0][:1]["text"])
    total = int((known_rows < 0).sum()) // ranks
    with tqdm(total=total, unit="text", disable=True if rank else None) as bar:
        # The CPU tokenizes the next texts while the GPU computes. With relations both need the tokenizer.
        depth = 1 if teacher.model.device.type == "cuda" and not relation_words else 0
        for target_rows, new_texts, tokens in prefetched(
            _tokenized(teacher, datasets, max(TEXTS, BATCHES * batch_size), known_rows, rank, ranks), depth
        ):
            for rows, signals in _signals(teacher, head, new_texts, tokens, batch_size, bf16, relation_words):
                for array, signal in zip(arrays, signals, strict=False):  # the last signal may be None
                    array[target_rows[rows]] = signal
                bar.update(len(rows))


def readable_head(teacher: Teacher, text: list[str]) -> nn.Linear | None:
    """Return the linear layer that computes the logits; None if it does not read one vector for each text.

    The function tries the layer on ``text``, a list of one text.
    """
    found = head_and_inputs(teacher, text) if text else None
    return found[0] if found else None


@torch.inference_mode()
def _label_known(head: nn.Linear, known: ProbeInputs, logits: np.ndarray, features: np.ndarray) -> None:
    rows = np.flatnonzero(known.rows >= 0)
    for start in range(0, len(rows), ROWS):
        some = rows[start : start + ROWS]
        inputs = np.array(known.inputs[known.rows[some]])
        logits[some] = head(torch.from_numpy(inputs).to(head.weight)).float().cpu().numpy()
        features[some] = inputs


def _tokenized(
    teacher: Teacher, datasets: Sequence[Dataset], size: int, known_rows: np.ndarray, rank: int, ranks: int
) -> Iterator[tuple[np.ndarray, list[str], dict[str, list[list[int]]]]]:
    """Yield this rank's texts whose ``known_rows`` are -1: their rows, the texts for the teacher, and their tokens."""
    mask_token, start = teacher.tokenizer.mask_token or teacher.tokenizer.unk_token or ".", 0
    number = 0  # of the texts that are sorted together
    for dataset in datasets:
        for batch in dataset.iter(size):
            new = np.flatnonzero(known_rows[start : start + len(batch["text"])] < 0)
            texts = [batch["text"][row].replace(MASK, mask_token) for row in new]
            number += bool(texts)
            if texts and number % ranks == rank:
                yield start + new, texts, teacher.tokens(texts)
            start += len(batch["text"])


def _signals(
    teacher: Teacher,
    head: nn.Linear | None,
    texts: list[str],
    tokens: dict[str, list[list[int]]],
    batch_size: int,
    bf16: bool,
    words: int,
) -> Iterator[tuple[np.ndarray, list[Any]]]:
    """Yield for each batch its rows in ``texts``, and logits, features and the states of the first ``words`` words."""
    needs_states = bool(words) or head is None
    with (
        record_last_attention(teacher.model) if words else nullcontext() as attention,
        inputs_of(head) if head else nullcontext() as head_inputs,
    ):
        for rows, batch, output in teacher.batches(texts, batch_size, bf16, states=needs_states, tokens=tokens):
            features = head_inputs[-1] if head_inputs else token_mean(last_states(output), batch["attention_mask"])
            if head_inputs:
                head_inputs.clear()
            relations = None
            if words:
                assert attention is not None
                numbers = _word_table(teacher, [texts[row] for row in rows], batch["input_ids"].shape[1])
                states = torch.stack(attention[-ATTENDED:], 1).float()
                relations, _ = word_states(states, numbers.to(states.device), words)
                attention.clear()
            arrays = [x if x is None else x.float().cpu().numpy() for x in (output.logits, features, relations)]
            yield rows, arrays


def _word_table(teacher: Teacher, texts: list[str], length: int) -> torch.Tensor:
    """Return word numbers of the teacher's tokens, ``(texts, length)``; -1 for special tokens and padding."""
    found = teacher.tokens(texts, return_offsets_mapping=True, return_special_tokens_mask=True)
    table = np.full((len(texts), length), NO_WORD, dtype=np.int64)
    for row, text in enumerate(texts):
        starts = np.array([start for start, _ in found["offset_mapping"][row]], dtype=int) - len(teacher.prompt)
        special = np.array(found["special_tokens_mask"][row], dtype=bool) | (starts < 0)
        numbers = word_numbers(text, np.maximum(starts, 0).tolist())
        place = (
            slice(length - len(numbers), length) if teacher.tokenizer.padding_side == "left" else slice(len(numbers))
        )
        table[row, place] = np.where(special, NO_WORD, numbers)
    return torch.from_numpy(table)
