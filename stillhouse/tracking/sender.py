"""Entries of a journal as calls of MLflow's client."""

import json
import logging
from pathlib import Path
from typing import Any

from mlflow.data.dataset_source_registry import get_dataset_source_from_json
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from stillhouse.tracking.store import connect

JOURNAL_TAG = "stillhouse.journal"
logger = logging.getLogger(__name__)


class Sender:
    """One method for each kind of entry; ``folder`` is that of the journal, with the files of its artifacts."""

    def __init__(self, client: MlflowClient, run_id: str | None, folder: Path) -> None:
        self._client, self._run, self._folder = client, run_id or "", folder

    def create(self, asked_before: str, said: dict[str, Any]) -> str:
        """Make the run, or find the one that was made (``asked_before``: the journal's tag); its id."""
        experiment = connect(said["experiment"])
        if asked_before:
            found = self._client.search_runs([experiment], f"tags.`{JOURNAL_TAG}` = '{asked_before}'", max_results=1)
            if found:
                return str(found[0].info.run_id)
        made = self._client.create_run(experiment, said["time"], said["tags"], said["name"])
        return str(made.info.run_id)

    def params(self, said: dict[str, Any]) -> None:
        """Log parameters."""
        values = [Param(name, value) for name, value in said["values"].items()]
        for start in range(0, len(values), 100):  # a server takes 100 at a time
            self._client.log_batch(self._run, params=values[start : start + 100])

    def metrics(self, said: dict[str, Any]) -> None:
        """Log metrics."""
        points = [Metric(name, value, said["time"], step) for name, value, step in said["points"]]
        for start in range(0, len(points), 1000):  # and 1,000 of these
            self._client.log_batch(self._run, metrics=points[start : start + 1000])

    def tags(self, said: dict[str, Any]) -> None:
        """Set tags."""
        self._client.log_batch(self._run, tags=[RunTag(name, value) for name, value in said["values"].items()])

    def artifact(self, said: dict[str, Any]) -> None:
        """Upload a file; one that is gone is logged and skipped."""
        path = self._folder / said["path"]  # an absolute one stays
        if not path.is_file():
            logger.warning("%s is not sent to MLflow: the file is gone", path.name)
            return
        self._client.log_artifact(self._run, str(path), said["folder"])

    def dataset(self, said: dict[str, Any]) -> None:
        """Note a dataset that was read."""
        source = get_dataset_source_from_json(json.dumps({"uri": said["uri"]}), "local")
        dataset = MetaDataset(source, name=said["name"], digest=said["digest"])._to_mlflow_entity()
        self._client.log_inputs(self._run, [DatasetInput(dataset, [InputTag("mlflow.data.context", said["context"])])])

    def end(self, said: dict[str, Any]) -> None:
        """Set the run's status and end."""
        self._client.set_terminated(self._run, said["status"], said["ended"])
