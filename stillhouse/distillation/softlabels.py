"""Asking the teacher, once, for its answers to the transfer set."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.lib.format import open_memmap
from tqdm import tqdm

from stillhouse.data.encoded import NO_WORD, word_numbers
from stillhouse.data.vocabulary import MASK
from stillhouse.distillation.relations import watch_last_attention, word_states
from stillhouse.errors import BadInput
from stillhouse.models.batching import ahead
from stillhouse.models.encoder import hidden_size
from stillhouse.models.teacher import Teacher, last_states

CHUNK = 64  # batches that are sorted by length together
ATTENDED = 3  # tensors that the last layer's attention leaves: queries, keys and values


def write_answers(
    teacher: Teacher, datasets: Sequence[Dataset], batch_size: int, bf16: bool, relation_words: int, folder: Path
) -> np.ndarray:
    """Put the teacher's answers to the column ``text`` of all ``datasets`` into ``folder``, as ``Answers`` reads them.

    Returns:
        The logits, float32 of shape ``(texts, classes)``.

    Raises:
        BadInput: relations were asked of a teacher whose attention or tokenizer hides them.
    """
    texts = sum(len(dataset) for dataset in datasets)
    classes, size = teacher.model.config.num_labels, hidden_size(teacher.model.config)
    logits = open_memmap(folder / "logits.npy", "w+", np.float32, (texts, classes))
    features = open_memmap(folder / "features.npy", "w+", np.float16, (texts, size))
    relations = None
    if relation_words:
        if not teacher.tokenizer.is_fast:
            raise BadInput(
                "soften.relation_words: this teacher's tokenizer does not say where its tokens stand; set 0."
            )
        shape = (texts, 3, relation_words, size)
        relations = open_memmap(folder / "relations.npy", "w+", np.float16, shape)
    chunk, start = batch_size * CHUNK, 0
    with tqdm(total=texts, unit="text", disable=None) as bar:
        # Beside a GPU the next texts are tokenized early; for relations the tokenizer is busy meanwhile.
        early = 1 if teacher.model.device.type == "cuda" and not relation_words else 0
        for texts_here, tokens in ahead(_tokenized(teacher, datasets, chunk), early):
            for rows, answer in _answers(teacher, texts_here, tokens, batch_size, bf16, relation_words):
                logits[start + rows], features[start + rows] = answer[0], answer[1]
                if relations is not None:
                    relations[start + rows] = answer[2]
                bar.update(len(rows))
            start += len(texts_here)
    for array in (logits, features, *([] if relations is None else [relations])):
        array.flush()
    return logits


def _tokenized(
    teacher: Teacher, datasets: Sequence[Dataset], size: int
) -> Iterator[tuple[list[str], dict[str, list[list[int]]]]]:
    """The texts of all ``datasets`` as the teacher reads them, up to ``size`` at once, and their tokens."""
    mask_token = teacher.tokenizer.mask_token or teacher.tokenizer.unk_token or "."
    for dataset in datasets:
        for batch in dataset.iter(size):
            texts = [text.replace(MASK, mask_token) for text in batch["text"]]
            yield texts, teacher.tokens(texts)


def _answers(
    teacher: Teacher,
    texts: list[str],
    tokens: dict[str, list[list[int]]],
    batch_size: int,
    bf16: bool,
    words: int,
) -> Iterator[tuple[np.ndarray, list[Any]]]:
    """For each batch its rows in ``texts``, logits, features, and the first ``words`` words' states."""
    with watch_last_attention(teacher.model) if words else nullcontext() as seen:
        for rows, batch, output in teacher.batches(texts, batch_size, bf16, states=True, tokens=tokens):
            mask = batch["attention_mask"].unsqueeze(2)
            states = last_states(output)
            pooled = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
            relations = None
            if words:
                assert seen is not None
                numbers = _word_table(teacher, [texts[row] for row in rows], states.shape[1])
                relations, _ = word_states(torch.stack(seen[-ATTENDED:], 1).float(), numbers.to(states.device), words)
                seen.clear()
            arrays = [x if x is None else x.float().cpu().numpy() for x in (output.logits, pooled, relations)]
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
