"""The transfer set beside the training texts: altered copies of them, and texts without labels.

A student learns from the teacher's soft labels, so it needs texts but no labels. The more varied the texts, the
more of the teacher's function they show (R. Tang et al. 2019, arXiv:1903.12136; L. Beyer et al., "Knowledge
distillation: A good teacher is patient and consistent", CVPR 2022, arXiv:2106.05237).
"""

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
from datasets import Dataset

from stillhouse.data.terms import spaced_words
from stillhouse.data.vocabulary import MASK
from stillhouse.params import Augment

UNLABELLED = -1
BATCH = 1000
SCHEMA = pa.schema([("text", pa.string()), ("fold", pa.int64())])


def write_transfer(train: Dataset, unlabelled: Dataset, settings: Augment, seed: int, file: Path) -> int:
    """Write ``text`` and ``fold`` (-1 for unlabelled texts) as an Arrow stream. The same input gives the same bytes.

    Returns:
        The number of texts.
    """
    rows = 0
    with pa.OSFile(str(file), "wb") as out, pa.ipc.new_stream(out, SCHEMA) as writer:
        for texts, fold in _batches(train, unlabelled, settings, seed):
            writer.write_batch(pa.record_batch([pa.array(texts, pa.string()), [fold] * len(texts)], schema=SCHEMA))
            rows += len(texts)
        if not rows:  # a stream without a batch cannot be read back
            writer.write_batch(pa.record_batch([pa.array([], pa.string()), pa.array([], pa.int64())], schema=SCHEMA))
    return rows


def _batches(train: Dataset, unlabelled: Dataset, settings: Augment, seed: int) -> Iterator[tuple[list[str], int]]:
    assert settings.folds != "auto"
    for fold in range(settings.folds):
        chance = random.Random(f"{seed}/{fold}")  # so a fold does not depend on the number of folds
        for batch in train.iter(BATCH):
            yield list(altered(batch["text"], settings, chance)), fold
    for batch in unlabelled.iter(BATCH):
        yield batch["text"], UNLABELLED


def altered(texts: Iterable[str], settings: Augment, chance: random.Random) -> Iterator[str]:
    """Yield one altered copy of each text.

    At random the copy has only a run of neighbouring words. Some words are removed, others are masked. In a script
    without spaces each character counts as a word.
    """
    for text in texts:
        words = spaced_words(text)
        if chance.random() < settings.ngram:
            length = chance.randint(max(1, settings.ngram_words // 4), settings.ngram_words)
            start = chance.randint(0, max(0, len(words) - length))
            words = words[start : start + length]
        remaining = [word for word in words if chance.random() >= settings.drop] or words[:1]
        parts = [(space, MASK if chance.random() < settings.mask else word) for space, word in remaining]
        yield "".join(part for pair in parts for part in pair)[len(parts[0][0]) if parts else 0 :]
