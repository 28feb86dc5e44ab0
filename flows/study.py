"""The flow ``study``: search for a better student with many trials, several at once.

``stillhouse study`` runs the remaining trials and prints or applies the best one. It needs the extra ``study``. A
cluster also needs the extra ``dask`` or ``ray``.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from flows.shared.environment import own_prefect_home

own_prefect_home()  # before the import of Prefect, which reads its settings at import

try:
    from optuna.trial import TrialState
except ImportError:
    sys.exit("\nstillhouse study needs Optuna: pip install 'stillhouse[study]'.")

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run as runtime
from prefect.states import State
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner

from flows.shared.changes import Changes, write_changes
from flows.shared.running import run_exclusively, run_flow
from flows.shared.stage_task import logger, prefect_task, training_slot
from flows.shared.stopping import command, handle_signals
from stillhouse.cluster import local_cluster
from stillhouse.errors import BadInput
from stillhouse.evaluation.report import as_markdown, as_text
from stillhouse.params import Params, load_params
from stillhouse.params import Study as Settings
from stillhouse.params.loading import CUSTOM
from stillhouse.pipeline.artefacts import path
from stillhouse.pipeline.children import child_process, lines_of
from stillhouse.pipeline.links import link_inputs
from stillhouse.pipeline.parent import exit_with_parent
from stillhouse.pipeline.stages import before
from stillhouse.project import STATE
from stillhouse.provenance import folder_md5
from stillhouse.study import best_changes, nested, open_study, score, suggest
from stillhouse.tracking.address import tracking_uri
from stillhouse.tracking.runs import FLOW_RUN, PARENT_RUN, flow_run

FOLDER = STATE / "study"
DAY_S = 86_400.0


@flow(name="study", flow_run_name=lambda: f"study-{time.strftime('%Y%m%d-%H%M%S')}")
def study() -> dict[str, Any] | State[Any]:
    """Search `study.search` of params.yaml for a better student. A stopped study is continued."""
    return run_exclusively(_search)


@flow(name="trials", flow_run_name="trials")
def trials(params: Params, answers_md5: str, parent: dict[str, str]) -> None:
    """Run the remaining trials, `study.workers` at once."""
    handle_signals()
    searched = _open(params, answers_md5)
    log = get_run_logger().info
    plain = params.model_copy(update={"devices": {}})  # their classes are created at run time and cannot be pickled
    while (left := params.study.trials - len(searched.get_trials(states=(TrialState.COMPLETE,)))) > 0:
        batch = [searched.ask() for _ in range(min(left, params.study.workers))]
        chosen = [suggest(trial, params.study.search) for trial in batch]
        futures = [
            _trial.submit(trial.number, changes, str(Path.cwd()), plain, parent)
            for trial, changes in zip(batch, chosen, strict=True)
        ]
        failures = []
        for trial, changes, future in zip(batch, chosen, futures, strict=True):
            result = future.result()
            if "message" in result:
                searched.tell(trial, state=TrialState.FAIL)
                failures.append(result["message"])
                log("trial %s failed: %s", trial.number, result["message"])
                continue
            searched.tell(trial, score(result))
            log("trial %s: score %.4f with %s", trial.number, score(result), changes)
        if len(failures) == len(batch):  # otherwise a study whose trials always fail would never end
            raise BadInput(f"All trials of a round failed. The last message: {failures[-1]}")


@task(task_run_name="trial-{number}", cache_policy=NO_CACHE)
def _trial(
    number: int, changes: dict[str, Any], project: str, params: Params, parent: dict[str, str]
) -> dict[str, Any]:
    """Run one trial in a child process, on the machine of this task. That machine must have the project's folder.

    The trial takes one of the machine's `flow.gpu_slots`.
    """
    exit_with_parent()
    folder = Path(project)
    parallel = min(params.study.workers, params.flow.gpu_slots)
    threads = str(max(1, (os.cpu_count() or 1) // parallel))  # trials on one machine share its cores
    result = FOLDER / f"trial-{number}.json"
    command = [sys.executable, "-m", "flows.workers.trial", str(number), json.dumps(changes), str(result)]
    (folder / result).unlink(missing_ok=True)
    log = logger()
    with (
        training_slot(True, params),
        child_process(command, DAY_S, folder, OMP_NUM_THREADS=threads, **parent) as (child, _),
    ):
        for level, line in lines_of(child):
            log(line, level)
        status = child.wait()
    try:
        return json.loads((folder / result).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"message": f"its process ended with status {status}; its output is in the log of trial-{number}"}


def task_runner(settings: Settings) -> TaskRunner[Any]:
    """Return the Prefect task runner that ``study.runner`` names.

    Raises:
        BadInput: its package is not installed.
    """
    try:  # Dask and Ray are optional extras
        if settings.runner == "dask":
            from prefect_dask import DaskTaskRunner

            if settings.address:
                return DaskTaskRunner(address=settings.address)
            return DaskTaskRunner(cluster_kwargs={"n_workers": settings.workers, "threads_per_worker": 1})
        if settings.runner == "ray":
            from prefect_ray import RayTaskRunner

            local = None if settings.address else local_cluster(settings.workers)
            return RayTaskRunner(address=settings.address, init_kwargs=local)
    except ImportError as error:
        raise BadInput(
            f"study.runner: {settings.runner} needs {error.name}: pip install 'stillhouse[{settings.runner}]'."
        ) from None
    if settings.runner == "processes":
        return ProcessPoolTaskRunner(max_workers=settings.workers)
    return ThreadPoolTaskRunner(max_workers=settings.workers)


def _search(params: Params) -> dict[str, Any]:
    runner = task_runner(params.study)
    link_inputs(params)
    with flow_run(params.tracking.experiment, runtime.name or "study", runtime.id or "") as run:
        run.params({"study": params.study.model_dump()})
        for stage in before("student"):
            prefect_task(stage, params)()
        answers = folder_md5(path("soft_labels/answers"))
        parent = {PARENT_RUN: run.id, FLOW_RUN: runtime.id or "", "MLFLOW_TRACKING_URI": tracking_uri()}
        trials.with_options(task_runner=runner)(params, answers, parent)
        found = _open(params, answers)
        best = {"changes": best_changes(found), "score": found.best_value, "trial": found.best_trial.number}
        markdown = as_markdown(_table(found))
        run.describe(markdown)
        run.metrics({"best_score": best["score"]})
    create_markdown_artifact(markdown, key="study", description="Trials, the best first")
    return best


def _open(params: Params, answers_md5: str) -> Any:
    fixed = {"seed": params.seed, "student": params.student.model_dump(exclude={"size"})}
    # Searched parameters are not part of the study's identity: it stays the same after its best trial is applied.
    for key in params.study.search:
        *parents, last = key.split(".")
        section: Any = fixed
        for part in parents:
            section = section[part]
        section.pop(last, None)
    return open_study(params.study, params.model_name, answers_md5, fixed, FOLDER)


def _table(found: Any) -> list[list[str]]:
    finished = sorted((t for t in found.trials if t.value is not None), key=lambda trial: -trial.value)
    keys = list(finished[0].params) if finished else []
    rows = [["trial", "score", *(key.removeprefix("student.") for key in keys)]]
    for trial in finished:
        rows.append([str(trial.number), f"{trial.value:.4f}", *(_short(trial.params[key]) for key in keys)])
    return rows


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value).strip('"')


@command
def main(best: bool, apply: bool) -> None:
    """Run the remaining trials, and print all trials or write the best one.

    Args:
        best: Run no trial; print the finished ones.
        apply: Run no trial; write the best one into params.yaml.

    Raises:
        BadInput: no trial has finished.
    """
    params = load_params()
    if not (best or apply):
        run_flow(study)
    answers = path("soft_labels/answers")
    if not answers.exists():
        raise BadInput("There is no study here yet. Run `stillhouse study` first.")
    found = _open(params, folder_md5(answers))
    changes = best_changes(found)
    if apply:
        written = write_changes(Changes.model_validate(nested(changes | {"student.size": CUSTOM})))
        lines = "\n".join(f"  {key}: {value}" for key, value in written.items())
        print(f"params.yaml changed:\n{lines}" if written else "params.yaml has these values already")
        return
    print("\n" + as_text(_table(found)) + "\n")
    print(f"Best: trial {found.best_trial.number}. Write it into params.yaml: stillhouse study --apply")


if __name__ == "__main__":
    from flows.cli import main as start

    start("study")
