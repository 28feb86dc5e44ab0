"""Arms of the flows ``comparison`` and ``labels``: copies of the project with other parameters that run its stages.

DVC restores results that this arm or another one computed before. So a stopped flow continues where it stopped.
"""

import base64
import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run as prefect_run

from flows.shared.stage_task import logger, training_slot
from flows.shared.workspace import workspace
from stillhouse.errors import BadInput
from stillhouse.evaluation.reference import NOTE
from stillhouse.evaluation.results import read_qualities
from stillhouse.files import write_json
from stillhouse.params import Params
from stillhouse.params.loading import CUSTOM
from stillhouse.params.naming import AUTO
from stillhouse.pipeline.artefacts import path
from stillhouse.pipeline.runner import run_stage
from stillhouse.pipeline.stages import before
from stillhouse.project import OUTPUTS, STATE
from stillhouse.tracking.address import tracking_uri
from stillhouse.tracking.environment import environment
from stillhouse.tracking.runs import flow_run, part_run

Predictions = dict[str, list[str]]  # columns of answers.csv: the true label, and the prediction of each model


def run_arm(group: str, name: str, changes: dict[str, Any], params: Params) -> Path:
    """Run the stages with ``changes`` in ``.stillhouse/<group>/<name>``, tracked as an arm of the open MLflow run.

    Returns:
        The folder of the copy.

    Raises:
        BadInput: no test text has a label.
    """
    folder = workspace(STATE / group / name, changes)
    get_run_logger().info("arm %s in %s: %s", name, folder, changes)
    with part_run(params.tracking.experiment, "arm", name) as run:
        run.params(changes)
        for stage in before("register"):
            run_arm_stage(name, stage.name, stage.trains, params, folder)
        models = read_qualities(path("evaluate/metrics.json", folder))
        if any(model.of_teacher for model in models.values()):
            raise BadInput(f"{group} compares accuracies, but {NOTE}.")
        run.metrics({"test": {name: {"accuracy": model.accuracy} for name, model in models.items()}})
    return folder


def fixed_size(params: Params) -> str:
    """Return ``student.size``, or ``custom`` for ``auto``: the students of all arms have the same network."""
    return CUSTOM if params.student.size == AUTO else params.student.size


@contextmanager
def parent_run(name: str, params: Params) -> Iterator[Any]:
    """Open the MLflow run of the flow ``name`` (also a section of ``params.yaml``), above the runs of its arms.

    Arms log to this project's MLflow store.

    Raises:
        BadInput: no text has a label, so no accuracy can be compared.
    """
    if params.data.label_column is None:
        raise BadInput(f"data.label_column is null: {name} compares accuracies, which needs labelled test texts.")
    variables = environment({"MLFLOW_TRACKING_URI": tracking_uri()})
    with variables, flow_run(params.tracking.experiment, prefect_run.name or name, prefect_run.id or "") as run:
        run.params({name: getattr(params, name).model_dump(), "student": params.student.model_dump()})
        yield run


def publish_result(name: str, run: Any, result: dict[str, Any], markdown: str, draw: Callable[[Path], None]) -> None:
    """Write numbers, table and figure to ``outputs/<name>`` and MLflow, and table and figure to a Prefect artifact.

    Other files in the folder, such as those of an earlier version, are not uploaded.
    """
    folder = OUTPUTS / name
    folder.mkdir(parents=True, exist_ok=True)
    numbers, table, figure = (folder / f"{name}.{suffix}" for suffix in ("json", "md", "png"))
    write_json(numbers, result)
    table.write_text(markdown + "\n", encoding="utf-8")
    draw(figure)
    for file in (numbers, table, figure):
        run.artifact(file)
    run.describe(markdown)
    picture = base64.b64encode(figure.read_bytes()).decode()
    create_markdown_artifact(f"{markdown}\n\n![{name}](data:image/png;base64,{picture})", key=name)


def print_result(name: str) -> None:
    """Print the table that :func:`publish_result` wrote, and the path of the figure."""
    print("\n" + (OUTPUTS / name / f"{name}.md").read_text(encoding="utf-8"))
    print(f"Figure  {(OUTPUTS / name / f'{name}.png').resolve()}")


def read_predictions(folder: Path) -> Predictions:
    """Read the predictions of every model for the test texts."""
    with path("evaluate/answers.csv", folder).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {column: [row[column] for row in rows] for column in rows[0]}


def correctness(predictions: list[Predictions], column: str) -> Any:
    """Return whether a model's predictions are correct: an array of 0 and 1, of shape ``(arms, texts)``."""
    return np.array([np.array(arm[column]) == np.array(arm["label"]) for arm in predictions], dtype=float)


def arm_seed(seed: int, own: int | None, params: Params) -> int | None:
    """Return None if the project's own setting ``own`` is null and ``seed`` is the global seed; otherwise ``seed``.

    With None the parameters equal those of the project, so DVC restores its results.
    """
    return None if own is None and seed == params.seed else seed


@task(task_run_name="{arm}-{stage}", cache_policy=NO_CACHE)
def run_arm_stage(arm: str, stage: str, trains: bool, params: Params, folder: Path) -> str:
    """Run one stage in the copy of the project in ``folder``."""
    with training_slot(trains, params):
        return run_stage(stage, params.flow.timeout_minutes[stage] * 60, folder=folder, log=logger())
