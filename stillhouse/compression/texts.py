"""The texts that the compression of a student reads; they are the same for all sizes."""

from dataclasses import dataclass
from itertools import islice

import numpy as np
from datasets import Dataset, concatenate_datasets

from stillhouse.compression.early_exit import ExitTexts
from stillhouse.data.splits import MIN_TEXTS, labels_of
from stillhouse.serving.chunks import commonest
from stillhouse.task import TASK

COMMON = 8_000  # frequent chunks of text that are stored with their word pieces: about 0.1 MB
CALIBRATION_TEXTS = 5_000  # most texts that the temperature is fitted on
EXIT_TEXTS = 3_000  # texts that the early exit learns from, and in each group that it is checked on
COUNTED_TEXTS = 20_000  # texts in which chunks are counted


@dataclass(frozen=True)
class CalibrationTexts:
    """Texts to fit the temperature on; no student was trained on them.

    Attributes:
        texts: the texts; may be empty.
        targets: 1 for the class of the label, or soft labels, float64 (texts, classes).
        source: what the targets are, ``labels`` or ``soft labels``.
    """

    texts: list[str]
    targets: np.ndarray
    source: str

    @classmethod
    def of(cls, validation: Dataset, heldout: Dataset, soft: np.ndarray) -> "CalibrationTexts":
        """Choose the validation texts and their labels if there are 100, otherwise the held-out texts.

        Args:
            validation: with labels.
            heldout: without labels.
            soft: logits of the soft labels of ``heldout``, (texts, classes).
        """
        if len(validation) < MIN_TEXTS:
            return cls(list(heldout["text"]), TASK.probabilities(soft.astype(float)), "soft labels")
        chosen = validation.select(range(min(len(validation), CALIBRATION_TEXTS)))
        return cls(list(chosen["text"]), TASK.targets(labels_of(chosen), soft.shape[1]), "labels")


@dataclass(frozen=True)
class CompressionTexts:
    """Texts for a compression.

    Attributes:
        train: to calibrate on.
        common: frequent chunks (:func:`~stillhouse.serving.chunks.commonest`); the model stores their word pieces.
        exits: for the early exit.
        calibration: for the temperature.
    """

    train: Dataset
    common: list[str]
    exits: ExitTexts
    calibration: CalibrationTexts

    @classmethod
    def of(
        cls, train: Dataset, unlabelled: Dataset, validation: Dataset, heldout: Dataset, soft: np.ndarray
    ) -> "CompressionTexts":
        """Select the texts from splits; the student was trained on ``train`` and ``unlabelled`` alone.

        ``soft`` has the logits of the soft labels of ``heldout``, (texts, classes).
        """
        seen, unseen = (
            concatenate_datasets([one.select_columns("text") for one in splits])
            for splits in ((unlabelled, train), (validation, heldout))
        )
        counted = (text for split in (train, unlabelled) for batch in split.iter(1000) for text in batch["text"])
        rows = np.random.default_rng(0).permutation(len(seen))[: 2 * EXIT_TEXTS]
        half = (len(rows) + 1) // 2
        checks = [list(unseen["text"][:EXIT_TEXTS]), list(seen.select(rows[half:])["text"])]
        exits = ExitTexts(list(seen.select(rows[:half])["text"]), checks)
        calibration = CalibrationTexts.of(validation, heldout, soft)
        return cls(train, commonest(islice(counted, COUNTED_TEXTS), COMMON), exits, calibration)
