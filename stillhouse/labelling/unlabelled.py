"""Which texts people label next: those without a label, by the soft labels of the last run."""

from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import concatenate_datasets

from stillhouse.choices import Choice
from stillhouse.data.added import Labels
from stillhouse.data.keys import text_key
from stillhouse.data.splits import label_names, read_split
from stillhouse.distillation.answers import read_soft_labels
from stillhouse.errors import BadInput
from stillhouse.labelling.choice import choose, margins
from stillhouse.labelling.sheet import write_sheet
from stillhouse.task import TASK

BATCH = 1000
MOST = 100_000  # texts to choose from; of more, so many random ones


@dataclass(frozen=True)
class Unlabelled:
    """Texts without a label of a person.

    Attributes:
        texts: the texts.
        classes: names of the classes.
        probabilities: of the teachers, float32 (texts, classes).
        features: float16 (texts, size), inputs of the teacher's last linear layer.
    """

    texts: list[str]
    classes: list[str]
    probabilities: np.ndarray
    features: np.ndarray


def unlabelled_texts(
    learnt: Path, given: Path, answers: Path, added: Labels, seed: int, among: Container[bytes] | None = None
) -> Unlabelled:
    """Read the texts of the transfer set that have no label.

    Args:
        learnt: the training texts of all stages after ``label``. A machine may have labelled them.
        given: the training texts of the stage ``prepare``. People labelled them.
        answers: the folder of soft labels that the stage ``soft_labels`` wrote.
        added: labels that people have added since.
        seed: of the random choice if there are more than 100,000 texts.
        among: keys of texts; others are left out. None: all texts.

    Raises:
        BadInput: the files are of different runs.
    """
    train, soft = read_split(learnt), read_soft_labels(answers)
    if len(train) + len(soft.extra) != len(soft.logits):
        raise BadInput("The texts and the soft labels in outputs/ are of different runs. Run: make run")
    rows = np.concatenate([np.arange(len(train)), len(train) + soft.used(0)])
    rows = np.sort(np.random.default_rng(seed).permutation(rows)[:MOST])
    texts = concatenate_datasets([train.select_columns("text"), soft.extra.select_columns("text")])
    labelled = {text_key(text) for batch in read_split(given).iter(BATCH) for text in batch["text"]} | added.keys()
    parts = (rows[start : start + BATCH] for start in range(0, len(rows), BATCH))
    found = [
        (row, text)
        for part in parts
        for row, text in zip(part, texts[part.tolist()]["text"], strict=True)
        if (key := text_key(text)) not in labelled and (among is None or key in among)
    ]
    chosen = np.array([row for row, _ in found], np.int64)
    probabilities = TASK.probabilities(soft.logits[chosen])
    return Unlabelled([text for _, text in found], label_names(train), probabilities, soft.features[chosen])


def next_texts(unlabelled: Unlabelled, how: Choice, count: int, seed: int) -> np.ndarray:
    """Return positions of the ``count`` texts to label next, the least sure first.

    Raises:
        BadInput: there are fewer texts.
    """
    if len(unlabelled.texts) < count:
        raise BadInput(
            f"--count is {count}, but the data have {len(unlabelled.texts)} texts without a label. Ask for fewer, or "
            "add texts."
        )
    chosen = choose(how, count, unlabelled.probabilities, unlabelled.features, seed)
    return chosen[np.argsort(margins(unlabelled.probabilities[chosen]), kind="stable")]


def write_next(file: Path, unlabelled: Unlabelled, chosen: np.ndarray) -> None:
    """Write the chosen texts as CSV with an empty column ``label``, at once or not at all.

    ``id`` is the text's key, so that ``stillhouse add`` knows a text that a program has altered. ``guess`` is the
    class that the teachers give it.
    """
    guesses = TASK.decode(TASK.decision(unlabelled.probabilities[chosen]), unlabelled.classes)
    sure = TASK.confidence(unlabelled.probabilities[chosen])
    rows = zip((unlabelled.texts[row] for row in chosen), guesses, sure, strict=True)
    write_sheet(file, ([text_key(text).hex(), text, "", guess, f"{p:.3f}"] for text, guess, p in rows))
