"""How the data moved since the last time, for the report: a look back, which no result depends on."""

import logging
import tempfile
from pathlib import Path

import numpy as np

from stillhouse.data.drift import Memory, moved
from stillhouse.errors import StillhouseError
from stillhouse.params import Params, load_params
from stillhouse.project import DATA_SUMMARIES
from stillhouse.serving.classifier import Classifier
from stillhouse.tracking import registry
from stillhouse.tracking.store import connect, raising_unavailable

logger = logging.getLogger(__name__)


def drift_table(texts: list[str], labels: list[str], teacher: np.ndarray) -> list[list[str]]:
    """Rows of a table, the first its heading; empty where the data did not move.

    ``texts`` and ``labels`` are the test set, ``teacher`` its answers, probabilities of shape ``(texts, classes)``.
    """
    params = load_params()  # all of them: the stage sees only those that its stored results depend on
    memory = Memory(DATA_SUMMARIES, params.data)
    memory.add(confidence=float(teacher.max(1).mean()))
    kept = memory.read()
    if "before" not in kept:
        return []
    champion = _champion(params, texts, labels)
    return moved(kept["before"], kept["now"]) + ([champion] if champion else [])


def _champion(params: Params, texts: list[str], labels: list[str]) -> list[str] | None:
    try:
        with raising_unavailable(), tempfile.TemporaryDirectory() as scratch:
            connect(params.tracking.experiment)
            version = registry.version_of(params.model_name, registry.PIPELINE.champion)
            if version is None:
                return None
            answers = Classifier.load(registry.fetch_model(version, Path(scratch))).predict(texts)
            then = registry.tag_of(version, "test.accuracy")
    except (StillhouseError, OSError, ValueError) as error:
        logger.warning("the champion is not in the report: %s", error)
        return None
    right = float(np.mean(answers == np.array(labels, dtype=object)))
    what = f"accuracy of the champion (version {version.number}): on the test texts of its time, on those of now"
    return [what, f"{float(then):.1%}" if then else "", f"{right:.1%}"]
