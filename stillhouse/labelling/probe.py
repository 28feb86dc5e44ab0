"""The co-trained probe, which costs nothing: what a machine's labels are compared with."""

from dataclasses import dataclass

import numpy as np
from datasets import Dataset

from stillhouse.data.splits import label_names, labels_of
from stillhouse.distillation.logistic import probabilities
from stillhouse.distillation.material import NONE, cotrained_rows, material_of
from stillhouse.distillation.probe import BATCH, head_and_inputs
from stillhouse.models.pretrained import load_pretrained
from stillhouse.models.unchanged import load_finished
from stillhouse.params import OneTeacher as Settings
from stillhouse.task import TASK


@dataclass(frozen=True)
class FreeProbe:
    """The answers of the teacher's co-trained probe.

    Attributes:
        known: probabilities of the labelled texts (labelled texts, classes), by a probe without their label.
        rows: int64 (texts,), rows in ``unlabelled`` of the texts below.
        probabilities: of these texts (texts, classes).
        features: inputs of the probe for these texts, float32 (texts, size).
        name: for messages.
    """

    known: np.ndarray
    rows: np.ndarray
    probabilities: np.ndarray
    features: np.ndarray
    name: str


def free_probe(
    settings: Settings, descriptions: dict[str, str], train: Dataset, unlabelled: Dataset, seed: int
) -> FreeProbe | None:
    """Fit the probe on the labelled texts, as the stage ``teacher`` does without a machine's labels.

    A finished classifier (``teacher.finetune: never``) is used as it is. It labels no texts of ``unlabelled`` here.

    Args:
        settings: the first teacher.
        descriptions: of the classes, by name, for a zero-shot teacher.
        train: the labelled texts.
        unlabelled: texts without a label.
        seed: of the random choice and of the folds.

    Returns:
        The predictions; None if the teacher has no head that a probe can replace.
    """
    names, labels = label_names(train), labels_of(train)
    if settings.finetune == "never":
        finished = load_finished(settings, names, descriptions)
        known = TASK.probabilities(finished.logits(list(train["text"]), BATCH))
        return FreeProbe(
            known, NONE, np.zeros((0, len(names))), np.zeros((0, 0), np.float32), "the finished classifier"
        )
    teacher = load_pretrained(settings, names)
    rows = cotrained_rows(len(unlabelled), max(settings.cotraining, 1), NONE, seed)
    texts = [*train["text"], *unlabelled.select(rows)["text"]]
    if (found := head_and_inputs(teacher, texts)) is None:
        return None
    material = material_of(texts, found[1], labels, len(names), settings.cotraining, seed)
    features = material.features[len(labels) :]
    predicted = probabilities(material.probe(), features, len(names)) if len(rows) else np.zeros((0, len(names)))
    name = "the co-trained probe" if settings.cotraining else "the probe"
    return FreeProbe(material.out_of_fold(), rows, predicted, features, name)
