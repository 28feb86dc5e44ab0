"""The texts of ``benchmarks.scale``: any number of short ones, with words of the packaged sample."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Features, Value

from stillhouse.data.sample import sample_texts

CLASSES = [f"topic{number:02d}" for number in range(20)]
WORDS = 12  # of a text; the first one is often the name of the class
NAMED = 0.9  # share of the texts that begin with the name of their class, the others with that of another
REPEATED = 50  # one text in so many is a copy of the one before it
BLOCK = 10_000
SURE = 4.0  # logit of the named class above the others


def write_corpus(texts: int, folder: Path) -> None:
    """Write ``labelled.csv``, ``plain.csv`` (the same texts, without labels), and ``test.arrow`` with ``test.npy``.

    The test set has all texts, and the teacher's logits of them. The frequencies of the words follow Zipf's law.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(0)
    counts = Counter(word for text in sample_texts()[0] for word in text.split())
    words = np.array([word for word, _ in counts.most_common()], dtype=object)
    share = 1 / np.arange(1, len(words) + 1)
    steps = np.cumsum(share / share.sum())
    schema = Features({"text": Value("string"), "label": ClassLabel(names=CLASSES)}).arrow_schema
    logits = np.lib.format.open_memmap(folder / "test.npy", "w+", np.float32, (texts, len(CLASSES)))
    with (
        (folder / "labelled.csv").open("w", newline="", encoding="utf-8") as labelled,
        (folder / "plain.csv").open("w", newline="", encoding="utf-8") as plain,
        pa.OSFile(str(folder / "test.arrow"), "wb") as file,
        pa.ipc.new_stream(file, schema) as test,
    ):
        labelled_rows, plain_rows = csv.writer(labelled), csv.writer(plain)
        labelled_rows.writerow(["text", "label"])
        plain_rows.writerow(["text"])
        for start in range(0, texts, BLOCK):
            size = min(BLOCK, texts - start)
            labels = chance.integers(0, len(CLASSES), size)
            other = chance.random(size) >= NAMED
            named = np.where(other, chance.integers(0, len(CLASSES), size), labels)
            drawn = words[np.minimum(np.searchsorted(steps, chance.random((size, WORDS - 1))), len(words) - 1)]
            block = [" ".join([CLASSES[name], *row]) for name, row in zip(named, drawn, strict=True)]
            for place in range(REPEATED - 1, size, REPEATED):
                block[place], labels[place] = block[place - 1], labels[place - 1]
            labelled_rows.writerows(zip(block, (CLASSES[label] for label in labels), strict=True))
            plain_rows.writerows([text] for text in block)
            columns = [pa.array(block, pa.string()), pa.array(labels, pa.int64())]
            test.write_batch(pa.record_batch(columns, schema=schema))
            logits[start : start + size] = stub_logits(block, chance)


def stub_logits(texts: list[str], chance: np.random.Generator) -> np.ndarray:
    """Return random logits, float32 of shape ``(texts, classes)``, highest for the class that the text names."""
    logits = chance.normal(size=(len(texts), len(CLASSES))).astype(np.float32)
    named = [int(text[5:7]) if text[:7] in CLASSES else 0 for text in texts]
    logits[np.arange(len(texts)), named] += SURE
    return logits
