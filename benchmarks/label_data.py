"""Vectors, texts and true labels of a corpus, from the finished outputs of ``benchmarks.run`` with few labels."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.corpora import FEW, cases
from stillhouse.data.keys import text_key
from stillhouse.data.sample import sample_texts
from stillhouse.data.splits import read_split
from stillhouse.distillation.answers import read_soft_labels
from stillhouse.pipeline.artefacts import path
from stillhouse.task import TASK


@dataclass(frozen=True)
class Labelled:
    """A corpus: title, texts, vectors of the pretrained encoder (texts, size), true class numbers, names of classes."""

    title: str
    texts: list[str]
    features: np.ndarray
    labels: np.ndarray
    classes: list[str]


def labelled(name: str, bench: Path) -> Labelled:
    """Return the texts of the transfer set of ``<name>-16`` below ``bench``, with the labels of the corpus.

    Raises:
        SystemExit: the case has not run.
    """
    corpus, folder = cases(bench / "data")[f"{name}-{FEW}"].corpus, bench / f"{name}-{FEW}"
    if not path("soft_labels/answers", folder).exists():
        raise SystemExit(f"{folder} has no soft labels. Run: python -m benchmarks.run {folder.name}")
    train = read_split(path("train", folder))
    soft = read_soft_labels(path("soft_labels/answers", folder))
    used = soft.used(0)
    texts = [*train["text"], *soft.extra.select(used)["text"]]
    rows = np.concatenate([np.arange(len(train)), len(train) + used])
    truth = _truth(name, bench) if corpus.rows else dict(zip(*_sample(), strict=True))
    classes = sorted(set(truth.values()))
    numbers = TASK.encode([truth[text_key(text)] for text in texts], classes)
    return Labelled(corpus.title, texts, np.asarray(soft.features[rows], np.float32), numbers, classes)


def _truth(name: str, bench: Path) -> dict[bytes, str]:
    csv.field_size_limit(1 << 30)
    with (bench / "data" / name / "train.csv").open(encoding="utf-8", newline="") as table:
        return {text_key(row["text"]): row["label"] for row in csv.DictReader(table)}


def _sample() -> tuple[list[bytes], list[str]]:
    texts, labels = sample_texts()
    return [text_key(text) for text in texts], labels
