"""Changes in the data since the last run, for the report. No result depends on them."""

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stillhouse.data.drift import SummaryStore, changes
from stillhouse.errors import StillhouseError
from stillhouse.params import Params, load_params
from stillhouse.project import DATA_SUMMARIES
from stillhouse.serving.classifier import Classifier

logger = logging.getLogger(__name__)


def drift_table(texts: Sequence[str], labels: list[str] | None, teacher: np.ndarray) -> list[list[str]]:
    """The report's table of changes in the data.

    Args:
        texts: the test texts.
        labels: the names of their classes; None if they are unknown.
        teacher: the teacher's probabilities for them, ``(texts, classes)``.

    Returns:
        The rows of the table, the heading first; no rows if the data did not change.
    """
    # All parameters: the stage's own context has only those that its stored results depend on.
    params = load_params()
    memory = SummaryStore(DATA_SUMMARIES, params.data)
    memory.add(confidence=float(teacher.max(1).mean()))
    summaries = memory.read()
    if "before" not in summaries:
        return []
    champion = None if labels is None else _champion_row(params, texts, labels)
    return changes(summaries["before"], summaries["now"]) + ([champion] if champion else [])


def _champion_row(params: Params, texts: Sequence[str], labels: list[str]) -> list[str] | None:
    """The champion's accuracy on the test texts that it was registered with and on the present ones."""
    from stillhouse.tracking import registry  # loading MLflow takes seconds; most often the data did not change
    from stillhouse.tracking.store import connect, raising_unavailable

    try:
        with raising_unavailable(), tempfile.TemporaryDirectory() as scratch:
            connect(params.tracking.experiment)
            version = registry.version_of(params.model_name, registry.PIPELINE.champion)
            if version is None:
                return None
            answers = Classifier.load(registry.fetch_model(version, Path(scratch))).predict(texts)
            before = registry.tag_of(version, "test.accuracy")
    except (StillhouseError, OSError, ValueError) as error:
        logger.warning("the champion's accuracy is not in the report: %s", error)
        return None
    now = float(np.mean(answers == np.array(labels, dtype=object)))
    title = f"accuracy of the champion (version {version.number}): on its own test texts, on the present test texts"
    return [title, f"{float(before):.1%}" if before else "", f"{now:.1%}"]
