"""A stage as a Prefect task: DVC runs it in a child process, whose output becomes the log of the task."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from prefect import Task, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.exceptions import MissingContextError
from prefect.runtime import task_run
from prefect.tasks import exponential_backoff

from flows.shared.progress_bar import with_progress
from stillhouse.errors import StillhouseError
from stillhouse.params import Params
from stillhouse.pipeline.ending import ending
from stillhouse.pipeline.runner import Log, Outcome, StageFailed, run_stage, to_console, unchanged
from stillhouse.pipeline.slots import gpu_slot
from stillhouse.pipeline.stages import Stage


def prefect_task(stage: Stage, params: Params) -> Task[..., Outcome]:
    """Return the Prefect task that runs ``stage`` through DVC if something changed.

    The arguments of the task: ``force`` runs the stage in any case, ``instance`` is the device, and
    ``known_unchanged`` skips the call of DVC, since no dependency changed.
    """
    settings = params.flow

    def name() -> str:
        return stage.of(str(task_run.parameters.get("instance", ""))).address

    @task(
        name=stage.name,
        task_run_name=name,
        cache_policy=NO_CACHE,  # DVC is the only cache
        retries=settings.retries if stage.retries else 0,
        retry_delay_seconds=exponential_backoff(settings.retry_delay_s),
        retry_jitter_factor=0.3,
        retry_condition_fn=_may_help,
    )
    def run(force: bool = False, instance: str = "", known_unchanged: bool = False) -> Outcome:
        address = stage.of(instance).address
        if known_unchanged and not force:  # do not wait for a GPU slot
            return unchanged(address, logger())
        with training_slot(stage.trains, params, settings.processes):
            log = with_progress(address, logger())
            return run_stage(address, settings.timeout_minutes[stage.name] * 60, force, log=log)

    return run


@contextmanager
def training_slot(trains: bool, params: Params, gpus: int = 1) -> Iterator[None]:
    """Hold a slot of each of ``gpus`` GPUs during the block, if the stage trains."""
    with gpu_slot(params.flow.gpu_slots, logger(), params.device, gpus) if trains else nullcontext():
        yield


def _no_traceback(record: logging.LogRecord) -> bool:
    """Remove the traceback of a failed stage: its message is enough."""
    if record.exc_info and isinstance(record.exc_info[1], StillhouseError):
        record.exc_info = None
    return True


logging.getLogger("prefect.task_runs").addFilter(_no_traceback)


def _may_help(task: Any, task_run: Any, state: Any) -> bool:
    if ending.is_set():
        return False
    try:
        state.result()
    except StageFailed as error:
        return error.retriable
    except Exception:
        return False
    return False


def logger() -> Log:
    """Return the log of the Prefect run, or the console outside of a run."""
    try:
        log = get_run_logger()
    except MissingContextError:
        return to_console
    return lambda line, level=logging.INFO: log.log(level, "%s", line)
