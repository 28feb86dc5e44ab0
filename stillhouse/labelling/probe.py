"""The co-trained probe, which costs nothing: what a machine's labels are compared with."""

from dataclasses import dataclass

import numpy as np
from datasets import Dataset

from stillhouse.data.splits import label_names, labels_of
from stillhouse.distillation.logistic import probabilities
from stillhouse.distillation.material import cotrained_rows, material_of
from stillhouse.distillation.probe import head_and_inputs
from stillhouse.models.pretrained import load_pretrained
from stillhouse.params import OneTeacher as Settings


@dataclass(frozen=True)
class FreeProbe:
    """The answers of the teacher's co-trained probe.

    Attributes:
        known: out-of-fold probabilities of the labelled texts (labelled texts, classes).
        rows: int64 (texts,), rows in ``unlabelled`` of the texts below.
        probabilities: of these texts (texts, classes).
        features: inputs of the probe for these texts, float32 (texts, size).
    """

    known: np.ndarray
    rows: np.ndarray
    probabilities: np.ndarray
    features: np.ndarray


def free_probe(settings: Settings, train: Dataset, unlabelled: Dataset, seed: int) -> FreeProbe | None:
    """Fit the probe on the labelled texts, as the stage ``teacher`` does without a machine's labels.

    None if the teacher has no head that a probe can replace.
    """
    names, labels = label_names(train), labels_of(train)
    teacher = load_pretrained(settings, names)
    rows = cotrained_rows(len(unlabelled), max(settings.cotraining, 1), np.zeros(0, np.int64), seed)
    texts = [*train["text"], *unlabelled.select(rows)["text"]]
    if (found := head_and_inputs(teacher, texts)) is None:
        return None
    material = material_of(texts, found[1], labels, len(names), settings.cotraining, seed)
    features = material.features[len(labels) :]
    predicted = probabilities(material.probe(), features, len(names)) if len(rows) else np.zeros((0, len(names)))
    return FreeProbe(material.out_of_fold(), rows, predicted, features)
