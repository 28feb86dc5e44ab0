"""Asking the teacher, once, for its answers to the transfer set."""

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
from stillhouse.distillation.relations import watch_last_attention, word_states
from stillhouse.errors import BadInput
from stillhouse.models.batching import ahead
from stillhouse.models.encoder import hidden_size
from stillhouse.models.pooling import token_mean
from stillhouse.models.teacher import Teacher, last_states

CHUNK = 64  # batches that are sorted by length together
ROWS = 10_000  # encoded texts at once that a head answers
ATTENDED = 3  # tensors that the last layer's attention leaves: queries, keys and values


@dataclass(frozen=True)
class Known:
    """What the head of a probe read of texts that were encoded before.

    ``inputs`` float32 (encoded texts, size); ``places`` int64 (texts,): the row of each text, -1 for a new one.
    """

    inputs: np.ndarray
    places: np.ndarray


def write_answers(
    teacher: Teacher,
    datasets: Sequence[Dataset],
    batch_size: int,
    bf16: bool,
    relation_words: int,
    folder: Path,
    known: Known | None = None,
) -> np.ndarray:
    """Put the teacher's answers to the column ``text`` of all ``datasets`` into ``folder``, as ``Answers`` reads them.

    Texts that are ``known`` are not encoded again, unless relations are needed.

    Returns:
        The logits, float32 of shape ``(texts, classes)``.

    Raises:
        BadInput: relations were asked of a teacher whose attention or tokenizer hides them.
    """
    texts = sum(len(dataset) for dataset in datasets)
    head = readable_head(teacher, datasets[0][:1]["text"])
    size = head.in_features if head else hidden_size(teacher.model.config)
    logits = open_memmap(folder / "logits.npy", "w+", np.float32, (texts, teacher.model.config.num_labels))
    features = open_memmap(folder / "features.npy", "w+", np.float16, (texts, size))
    relations = None
    if relation_words:
        if not teacher.tokenizer.is_fast:
            raise BadInput(
                "soft_labels.relation_words: this teacher's tokenizer gives no positions of its tokens; set 0."
            )
        shape = (texts, 3, relation_words, hidden_size(teacher.model.config))
        relations = open_memmap(folder / "relations.npy", "w+", np.float16, shape)
    places = np.full(texts, -1, np.int64)
    if known and head and not relation_words:
        places = known.places
        _answer_known(head, known, logits, features)
    with tqdm(total=int((places < 0).sum()), unit="text", disable=None) as bar:
        # Beside a GPU the next texts are tokenized early; for relations the tokenizer is busy meanwhile.
        early = 1 if teacher.model.device.type == "cuda" and not relation_words else 0
        for stored, new_texts, tokens in ahead(_tokenized(teacher, datasets, batch_size * CHUNK, places), early):
            for rows, answer in _answers(teacher, head, new_texts, tokens, batch_size, bf16, relation_words):
                logits[stored[rows]], features[stored[rows]] = answer[0], answer[1]
                if relations is not None:
                    relations[stored[rows]] = answer[2]
                bar.update(len(rows))
    for array in (logits, features, *([] if relations is None else [relations])):
        array.flush()
    return logits


def readable_head(teacher: Teacher, text: list[str]) -> nn.Linear | None:
    """The linear layer that gives the logits, where it reads one vector a text; ``text`` is one, to try it on."""
    found = head_and_inputs(teacher, text) if text else None
    return found[0] if found else None


@torch.inference_mode()
def _answer_known(head: nn.Linear, known: Known, logits: np.ndarray, features: np.ndarray) -> None:
    rows = np.flatnonzero(known.places >= 0)
    for start in range(0, len(rows), ROWS):
        some = rows[start : start + ROWS]
        inputs = np.array(known.inputs[known.places[some]])
        logits[some] = head(torch.from_numpy(inputs).to(head.weight)).float().cpu().numpy()
        features[some] = inputs


def _tokenized(
    teacher: Teacher, datasets: Sequence[Dataset], size: int, places: np.ndarray
) -> Iterator[tuple[np.ndarray, list[str], dict[str, list[list[int]]]]]:
    """The texts of all ``datasets`` that have no place yet: their rows, as the teacher reads them, and their tokens."""
    mask_token, start = teacher.tokenizer.mask_token or teacher.tokenizer.unk_token or ".", 0
    for dataset in datasets:
        for batch in dataset.iter(size):
            new = np.flatnonzero(places[start : start + len(batch["text"])] < 0)
            texts = [batch["text"][row].replace(MASK, mask_token) for row in new]
            if texts:
                yield start + new, texts, teacher.tokens(texts)
            start += len(batch["text"])


def _answers(
    teacher: Teacher,
    head: nn.Linear | None,
    texts: list[str],
    tokens: dict[str, list[list[int]]],
    batch_size: int,
    bf16: bool,
    words: int,
) -> Iterator[tuple[np.ndarray, list[Any]]]:
    """For each batch its rows in ``texts``, logits, features, and the first ``words`` words' states."""
    needs_states = bool(words) or head is None
    with (
        watch_last_attention(teacher.model) if words else nullcontext() as seen,
        inputs_of(head) if head else nullcontext() as read,
    ):
        for rows, batch, output in teacher.batches(texts, batch_size, bf16, states=needs_states, tokens=tokens):
            features = read[-1] if read else token_mean(last_states(output), batch["attention_mask"])
            if read:
                read.clear()
            relations = None
            if words:
                assert seen is not None
                numbers = _word_table(teacher, [texts[row] for row in rows], batch["input_ids"].shape[1])
                states = torch.stack(seen[-ATTENDED:], 1).float()
                relations, _ = word_states(states, numbers.to(states.device), words)
                seen.clear()
            arrays = [x if x is None else x.float().cpu().numpy() for x in (output.logits, features, relations)]
            yield rows, arrays


def _word_table(teacher: Teacher, texts: list[str], length: int) -> torch.Tensor:
    """Word numbers of the teacher's tokens, ``(texts, length)``; special tokens and padding have none."""
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
