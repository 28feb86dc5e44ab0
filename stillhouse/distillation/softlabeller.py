"""What a teacher computes for each text of the transfer set, for all processes that share the texts."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from datasets import Dataset
from torch import nn
from tqdm import tqdm

from stillhouse.data.encoded import NO_WORD, word_numbers
from stillhouse.data.vocabulary import MASK
from stillhouse.distillation.probe import head_and_inputs, inputs_of
from stillhouse.distillation.relations import record_last_attention, word_states
from stillhouse.models.batching import prefetched
from stillhouse.models.device import leave_gpu
from stillhouse.models.encoder import last_states
from stillhouse.models.pooling import token_mean
from stillhouse.models.teacher import Teacher

TEXTS = 2048  # at least as many texts are tokenized and sorted by length together
BATCHES = 8  # at least as many batches are
ATTENDED = 3  # tensors of the last layer's attention: queries, keys and values
STORED = (np.float32, np.float16, np.float16)  # types of logits, features and relations
Part = tuple[np.ndarray, list[np.ndarray]]  # rows, and their logits, features and, if wanted, relations


@dataclass(frozen=True)
class SoftLabeller:
    """A teacher, and what is computed with it.

    Attributes:
        teacher: labels the texts.
        head: the layer of the teacher that :func:`readable_head` returns.
        batch_size: texts at once.
        bf16: compute in bfloat16.
        words: words of each text with relations; 0 for no relations.
    """

    teacher: Teacher
    head: nn.Linear | None
    batch_size: int
    bf16: bool
    words: int

    @contextmanager
    def off_gpu(self) -> Iterator[None]:
        """Move the teacher to the CPU until the end of the block: the GPU is for others."""
        device = self.teacher.model.device
        leave_gpu(self.teacher.model)
        yield
        self.teacher.model.to(device)

    def signals(self, texts: list[str], tokens: dict[str, list[list[int]]]) -> Iterator[Part]:
        """Yield for each batch its rows in ``texts``, and logits, features and the states of the first words."""
        teacher, head, words = self.teacher, self.head, self.words
        with (
            record_last_attention(teacher.model) if words else nullcontext() as attention,
            inputs_of(head) if head else nullcontext() as head_inputs,
        ):
            states = bool(words) or head is None
            for rows, batch, output in teacher.batches(texts, self.batch_size, self.bf16, states=states, tokens=tokens):
                features = head_inputs[-1] if head_inputs else token_mean(last_states(output), batch["attention_mask"])
                if head_inputs:
                    head_inputs.clear()
                found = [output.logits, features]
                if attention is not None:
                    numbers = _word_table(teacher, [texts[row] for row in rows], batch["input_ids"].shape[1])
                    last = torch.stack(attention[-ATTENDED:], 1).float()
                    found.append(word_states(last, numbers.to(last.device), words)[0])
                    attention.clear()
                pairs = zip(found, STORED, strict=False)  # the relations may be missing
                yield rows, [signal.float().cpu().numpy().astype(kind) for signal, kind in pairs]


def soft_labeller(
    teacher: Teacher, datasets: Sequence[Dataset], batch_size: int, bf16: bool, words: int
) -> SoftLabeller:
    """Return the teacher with its head, see :class:`SoftLabeller`."""
    return SoftLabeller(teacher, readable_head(teacher, datasets[0][:1]["text"]), batch_size, bf16, words)


def labelled(
    labeller: SoftLabeller, datasets: Sequence[Dataset], known_rows: np.ndarray, rank: int = 0, ranks: int = 1
) -> Iterator[Part]:
    """Label the texts of :func:`chunks` in this process. Yields the rows and the signals of each batch."""
    found = chunks(labeller, datasets, known_rows, rank, ranks)
    tokenized = ((rows, texts, labeller.teacher.tokens(texts)) for rows, texts in found)
    # The CPU tokenizes the next texts while the GPU computes. With relations both need the tokenizer.
    depth = 1 if labeller.teacher.model.device.type == "cuda" and not labeller.words else 0
    for target_rows, texts, tokens in prefetched(tokenized, depth):
        for rows, signals in labeller.signals(texts, tokens):
            yield target_rows[rows], signals


def chunks(
    labeller: SoftLabeller, datasets: Sequence[Dataset], known_rows: np.ndarray, rank: int = 0, ranks: int = 1
) -> Iterator[tuple[np.ndarray, list[str]]]:
    """Yield the texts whose ``known_rows`` are -1: rows and texts of those that are sorted by length together.

    The same process labels these. So the batches, and on a CPU the bytes, do not depend on the number of processes.

    Args:
        labeller: labels the texts.
        datasets: the texts.
        known_rows: int64 (texts,), -1 for a text to label.
        rank: the number of the process, which gets its share.
        ranks: the number of processes.
    """
    tokenizer, start, number = labeller.teacher.tokenizer, 0, 0
    mask_token = tokenizer.mask_token or tokenizer.unk_token or "."
    for dataset in datasets:
        for batch in dataset.iter(max(TEXTS, BATCHES * labeller.batch_size)):
            new = np.flatnonzero(known_rows[start : start + len(batch["text"])] < 0)
            number += bool(len(new))
            if len(new) and number % ranks == rank:
                yield start + new, [batch["text"][row].replace(MASK, mask_token) for row in new]
            start += len(batch["text"])


def store(parts: Iterable[Part], arrays: Sequence[np.ndarray], total: int, quiet: bool = False) -> None:
    """Write the signals of ``total`` texts into ``arrays``, and show the progress on a terminal unless ``quiet``."""
    with tqdm(total=total, unit="text", disable=quiet or None) as bar:
        for rows, signals in parts:
            for array, signal in zip(arrays, signals, strict=True):
                array[rows] = signal
            bar.update(len(rows))


def readable_head(teacher: Teacher, text: list[str]) -> nn.Linear | None:
    """Return the linear layer that computes the logits; None if it does not read one vector for each text.

    The function tries the layer on ``text``, a list of one text.
    """
    found = head_and_inputs(teacher, text) if text else None
    return found[0] if found else None


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
