"""The temperature of a compressed student: fitted on texts that it was not trained on, and written into its network."""

import logging
from pathlib import Path

from stillhouse.compression.texts import CalibrationTexts
from stillhouse.evaluation.calibration import Calibration, calibrate
from stillhouse.serving.classifier import Classifier

logger = logging.getLogger(__name__)

LEAST_TEXTS = 50  # fewer texts show nothing of a temperature


def choose_temperature(folder: Path, texts: CalibrationTexts) -> Calibration | None:
    """Fit the temperature of the compressed student in ``folder``; None if there are fewer than 50 texts."""
    if len(texts.texts) < LEAST_TEXTS:
        logger.info("calibration: none, %d texts are too few", len(texts.texts))
        return None
    found = calibrate(Classifier.load(folder).predict_proba(texts.texts).astype(float), texts.targets)
    message = (
        "calibration on %d texts (%s): temperature %.2f, log loss %.4f without it, %.4f with it in cross-validation%s"
    )
    refused = "" if found.used else "; refused"
    logger.info(message, found.texts, texts.source, found.temperature, found.before, found.after, refused)
    return found
