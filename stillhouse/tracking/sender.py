"""Sending the entries of a journal to MLflow."""

import json
import logging
from pathlib import Path
from typing import Any

from mlflow.data.dataset_source_registry import get_dataset_source_from_json
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from stillhouse.tracking.journal import JOURNAL_TAG
from stillhouse.tracking.store import connect

logger = logging.getLogger(__name__)


class Sender:
    """Sends entries to one run. It has a method for each kind of entry."""

    def __init__(self, client: MlflowClient, run_id: str | None, folder: Path) -> None:
        """``folder`` is that of the journal; it has the files of the artifacts."""
        self._client, self._run, self._folder = client, run_id or "", folder

    def create(self, created_before: str, entry: dict[str, Any]) -> str:
        """Create the run, or find the one that an earlier attempt created.

        Args:
            created_before: the run's tag ``stillhouse.journal`` if there was an earlier attempt, else empty.
            entry: the first one of the journal.

        Returns:
            The run's id.
        """
        experiment = connect(entry["experiment"])
        if created_before:
            found = self._client.search_runs([experiment], f"tags.`{JOURNAL_TAG}` = '{created_before}'", max_results=1)
            if found:
                return str(found[0].info.run_id)
        made = self._client.create_run(experiment, entry["time"], entry["tags"], entry["name"])
        return str(made.info.run_id)

    def params(self, entry: dict[str, Any]) -> None:
        """Log parameters."""
        values = [Param(name, value) for name, value in entry["values"].items()]
        for start in range(0, len(values), 100):  # MLflow's limit for one request
            self._client.log_batch(self._run, params=values[start : start + 100])

    def metrics(self, entry: dict[str, Any]) -> None:
        """Log metrics."""
        points = [Metric(name, value, entry["time"], step) for name, value, step in entry["points"]]
        for start in range(0, len(points), 1000):  # MLflow's limit for one request
            self._client.log_batch(self._run, metrics=points[start : start + 1000])

    def tags(self, entry: dict[str, Any]) -> None:
        """Set tags."""
        self._client.log_batch(self._run, tags=[RunTag(name, value) for name, value in entry["values"].items()])

    def artifact(self, entry: dict[str, Any]) -> None:
        """Upload a file. A missing file is logged and skipped."""
        path = self._folder / entry["path"]  # an absolute path stays as it is
        if not path.is_file():
            logger.warning("%s is not sent to MLflow: the file is missing", path.name)
            return
        self._client.log_artifact(self._run, str(path), entry["folder"])

    def dataset(self, entry: dict[str, Any]) -> None:
        """Record a dataset that the run read."""
        source = get_dataset_source_from_json(json.dumps({"uri": entry["uri"]}), "local")
        dataset = MetaDataset(source, name=entry["name"], digest=entry["digest"])._to_mlflow_entity()
        self._client.log_inputs(self._run, [DatasetInput(dataset, [InputTag("mlflow.data.context", entry["context"])])])

    def end(self, entry: dict[str, Any]) -> None:
        """Set the run's status and the time of its end."""
        self._client.set_terminated(self._run, entry["status"], entry["ended"])
