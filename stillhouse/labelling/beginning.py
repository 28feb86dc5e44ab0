"""The beginning without labels: a training split from the descriptions of the classes, or of a finished classifier."""

import logging
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset, concatenate_datasets

from stillhouse.data.splits import Split, label_names, labels_of, write_split, write_texts
from stillhouse.distillation.probe import BATCH, head_and_inputs
from stillhouse.errors import BadInput
from stillhouse.labelling.descriptions import (
    TEXTS,
    TRAINED,
    FirstLabels,
    alike,
    class_sentences,
    class_vectors,
    first_labels,
    surest,
)
from stillhouse.models.pretrained import load_pretrained
from stillhouse.models.unchanged import load_finished
from stillhouse.params import OneTeacher, Params
from stillhouse.task import TASK

logger = logging.getLogger(__name__)

LOW = 0.5  # agreement of similarity and correction below which the descriptions probably do not describe the texts


def begin_without_labels(
    params: Params, train: Dataset, unlabelled: Dataset, device: torch.device, folder: Path
) -> dict[str, float]:
    """Write ``train.arrow``, the surest texts with their first labels, and ``unlabelled.arrow``, the rest.

    The labels are from the descriptions of the classes, or from a finished classifier (``teacher.finetune: never``).
    Texts that people labelled (``stillhouse add``) are training texts, too.

    Args:
        params: with the sections ``data.classes`` and ``teacher``.
        train: the texts that people labelled, if there are any; it has the classes.
        unlabelled: the texts; at most 5,000 of them, drawn at random, may get a label.
        device: the device of the teacher's encoder.
        folder: for the two files.

    Returns:
        Metrics: the number of texts compared and of training texts, and how often similarity and correction agree.

    Raises:
        BadInput: there are fewer texts than classes, all texts have the same class, or the teacher has no vectors of
            texts.
    """
    names = label_names(train)
    rows = np.sort(np.random.default_rng(params.seed).permutation(len(unlabelled))[:TEXTS])
    if len(rows) < len(names):
        raise BadInput(f"data: {len(rows)} texts without labels are too few for {len(names)} classes. Add texts.")
    texts = list(unlabelled.select(rows)["text"])
    finished = params.teacher.finetune == "never"
    find = _by_classifier if finished else _by_description
    found = find(params.teacher, names, params.data.descriptions, texts, device)
    labels = TASK.decision(found.probabilities[found.surest])
    counts = dict(zip(names, np.bincount(labels, minlength=len(names)).tolist(), strict=True))
    known = labels_of(train)
    missing = [name for number, name in enumerate(names) if not counts[name] and number not in known]
    if len(names) - len(missing) < 2:
        raise BadInput(
            f"teacher.model: it gives all texts the class {names[labels[0]]!r}. Use another finished classifier."
            if finished
            else f"data.classes: all texts are most similar to the class {names[labels[0]]!r}. Describe the classes in "
            "words that occur in their texts."
        )
    if missing:
        logger.warning("no text has one of these classes, so no model learns them: %s", ", ".join(missing))
    if found.agreement < LOW:
        logger.warning(
            "the correction changed the class of %.0f %% of the texts: the descriptions in data.classes may not fit "
            "the texts. Check some labels, and describe the classes in words that occur in their texts",
            100 * (1 - found.agreement),
        )
    logger.info("first labels: %s", ", ".join(f"{count} {name}" for name, count in counts.items()))
    chosen = rows[found.surest]
    rest = np.setdiff1d(np.arange(len(unlabelled)), chosen)
    both = concatenate_datasets([train.select_columns("text"), unlabelled])
    places, classes = [np.arange(len(train)), len(train) + chosen], [known, labels]
    write_split(Split(both, np.concatenate(places), np.concatenate(classes)), names, folder / "train.arrow")
    write_texts([(unlabelled, rest)], folder / "unlabelled.arrow")
    source = "the finished classifier"
    if not finished:
        source = f"the descriptions; correction and similarity agree on {100 * found.agreement:.1f} %"
    logger.info("%d of %d texts got a label from %s", len(chosen), len(rows), source)
    return {"compared": len(rows), "labelled": len(chosen), "agreement": found.agreement, "missing": len(missing)}


def _by_classifier(
    settings: OneTeacher, names: list[str], described: dict[str, str], texts: list[str], device: torch.device
) -> FirstLabels:
    teacher = load_finished(settings, names, described)
    teacher.model.to(device)
    soft = TASK.probabilities(teacher.logits(texts, BATCH))
    return FirstLabels(soft, surest(soft, TRAINED), 1.0)


def _by_description(
    settings: OneTeacher, names: list[str], described: dict[str, str], texts: list[str], device: torch.device
) -> FirstLabels:
    sentences = [class_sentences(name, described.get(name)) for name in names]
    numbers = np.repeat(np.arange(len(names)), [len(one) for one in sentences])
    teacher = load_pretrained(settings, names)
    teacher.model.to(device)
    encoded = head_and_inputs(teacher, [sentence for one in sentences for sentence in one] + texts)
    if encoded is None:
        raise BadInput(
            "teacher.model: it has no vector of a whole text that could be compared with data.classes. Use a sentence "
            "encoder, or label some texts."
        )
    of_sentences, of_texts = np.split(encoded[1], [len(numbers)])
    classes = class_vectors(of_sentences, numbers)
    for one, other in alike(classes):
        logger.warning(
            "the classes %r and %r are nearly equal for the teacher: describe each in words of its texts alone",
            names[one],
            names[other],
        )
    return first_labels(texts, of_texts, classes)
