"""A stage as a Prefect task: DVC runs it in a child process, whose output becomes the task's log."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

from prefect import Task, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.concurrency.sync import concurrency
from prefect.exceptions import MissingContextError
from prefect.runtime import task_run

from stillhouse.errors import StillhouseError
from stillhouse.params import Flow
from tasks.stage import STATE, Stage

GPU_LIMIT = "gpu"
# What DVC tells an interactive user after a stage; in a log it is noise.
DVC_HINTS = (
    "To track the changes with git",
    "git add",
    "To enable auto staging",
    "dvc config core.autostage",
    "Use `dvc push`",
    "Updating lock file",
    "Generating lock file",
)
Outcome = Literal["ran", "restored", "unchanged"]


class StageFailed(StillhouseError):
    """A stage's child process ended with an error; ``again`` says whether another try may help."""

    def __init__(self, message: str, again: bool) -> None:
        super().__init__(message)
        self.again = again


def prefect_task(stage: Stage, settings: Flow) -> Task[..., Outcome]:
    """The Prefect task of ``stage`` (of an ``instance`` of it): run through DVC, unless nothing changed for it."""

    def name() -> str:
        return stage.of(str(task_run.parameters.get("instance", ""))).address

    @task(
        name=stage.name,
        task_run_name=name,
        cache_policy=NO_CACHE,  # DVC is the one cache
        retries=settings.retries if stage.retries else 0,
        retry_delay_seconds=settings.retry_delay_s,
        retry_condition_fn=_may_help,
    )
    def run(force: bool = False, instance: str = "") -> Outcome:
        with gpu_slot(stage.trains):
            return run_stage(stage.of(instance).address, settings.timeout_minutes[stage.name] * 60, force)

    return run


def gpu_slot(trains: bool) -> AbstractContextManager[None]:
    """A place on the GPU for work that trains: waited for, and given back when the block is left."""
    if not trains:
        return nullcontext()
    # The lease is renewed by a thread; losing it must not kill hours of training.
    return concurrency(GPU_LIMIT, strict=True, raise_on_lease_renewal_failure=False)


def _may_help(task: Any, task_run: Any, state: Any) -> bool:
    try:
        state.result()
    except StageFailed as error:
        return error.again
    except Exception:
        return False
    return False


def run_stage(name: str, timeout_s: float, force: bool = False, folder: Path = Path()) -> Outcome:
    """``dvc repro --single-item <name>`` in a process group of its own, its lines going to the log.

    ``folder`` is the project that it is run in.

    Returns:
        ``ran``, ``restored`` (DVC had the result of the same inputs from before), or ``unchanged``.

    Raises:
        StageFailed: with the stage's own message. The last good outputs are brought back.
    """
    say = logger()
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", name]
    note = folder / STATE / f"failure-{name}.json"
    note.unlink(missing_ok=True)
    outcome: Outcome = "ran"
    with child_process(command + (["--force"] if force else []), timeout_s, folder) as (child, expired):
        for line in lines_of(child):
            if "didn't change, skipping" in line:
                outcome = "unchanged"
                say(f"{name}: nothing that it depends on changed; not run")
            elif "is cached - skipping run" in line:
                outcome = "restored"
                say(f"{name}: the same inputs were run before; outputs restored")
            elif not line.strip().startswith(DVC_HINTS):
                say(line)
        status = child.wait()
    if status:
        restore = [sys.executable, "-m", "dvc", "checkout", "-q", "-f", name]
        subprocess.run(restore, capture_output=True, check=False, cwd=folder)
        if expired.is_set():
            limit = f"flow.timeout_minutes.{name.partition('@')[0]} ({timeout_s / 60:g} min)"
            raise StageFailed(
                f"{name} was stopped after {limit}; training goes on from its last checkpoint", again=False
            )
        raise _failure(name, note, status)
    return outcome


def _failure(name: str, note: Path, status: int) -> StageFailed:
    try:
        told = json.loads(note.read_text(encoding="utf-8"))
        return StageFailed(f"{name} failed: {told['message']}", told["again"])
    except (OSError, ValueError):
        return StageFailed(f"{name} failed: dvc ended with status {status}; its output is in this task's log", False)


@contextmanager
def child_process(
    command: list[str], timeout_s: float, folder: Path = Path(), **variables: str
) -> Iterator[tuple[subprocess.Popen[str], threading.Event]]:
    """A process group that is gone when the block is left, however it is left; the event says it took too long.

    ``variables`` are added to its environment.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder.resolve()), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",  # dvc.yaml says `python`
        "PYTHONUNBUFFERED": "1",
        "TQDM_MININTERVAL": "20",  # each refresh becomes a log line
        "COLUMNS": "100",
        **variables,
    }
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
        cwd=folder,
        start_new_session=True,
    )
    expired = threading.Event()

    def stop() -> None:
        expired.set()
        _kill(child)

    timer = threading.Timer(timeout_s, stop)
    timer.daemon = True
    timer.start()
    try:
        yield child, expired
    finally:
        timer.cancel()
        _kill(child)


def _kill(child: subprocess.Popen[str]) -> None:
    """End the whole group: politely, so that runs are closed and outputs restored, then for good."""
    if child.poll() is not None:
        return
    for signal_number, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        try:
            os.killpg(child.pid, signal_number)
            child.wait(patience)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def lines_of(child: subprocess.Popen[str]) -> Iterator[str]:
    """Lines as they come; universal newlines make each refresh of a progress bar (``\\r``) a line."""
    assert child.stdout is not None
    for line in child.stdout:
        if line := line.rstrip():
            yield line


def logger() -> Callable[[str], None]:
    """Where lines go: the flow run's log, or the console outside of one."""
    try:
        return get_run_logger().info
    except MissingContextError:  # called outside a flow
        return print
