"""A stage as a Prefect task: DVC runs it in a child process, whose output becomes the task's log."""

import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

from prefect import Task, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.exceptions import MissingContextError
from prefect.runtime import task_run
from prefect.tasks import exponential_backoff

from stillhouse.chain import OUTPUTS, Stage
from stillhouse.errors import StillhouseError
from stillhouse.params import Params
from tasks.shared.children import child_process, lines_of
from tasks.shared.ending import ending
from tasks.shared.lock import stage_note
from tasks.shared.outputs import bring_back
from tasks.shared.rwlock import wait_for_dvc
from tasks.shared.slots import gpu_slot

# What DVC tells an interactive user after a stage; in a log it is noise.
DVC_HINTS = (
    "To track the changes with git",
    "git add",
    "To enable auto staging",
    "dvc config core.autostage",
    "Use `dvc push`",
    "Updating lock file",
    "Generating lock file",
    "didn't change, skipping",
    "is cached - skipping run",
)
Outcome = Literal["ran", "restored", "unchanged"]


class StageFailed(StillhouseError):
    """A stage's child process ended with an error; ``again`` says whether another try may help."""

    def __init__(self, message: str, again: bool) -> None:
        super().__init__(message)
        self.again = again


def prefect_task(stage: Stage, params: Params) -> Task[..., Outcome]:
    """The Prefect task of ``stage`` (of an ``instance`` of it): run through DVC, unless nothing changed for it.

    ``settled`` says that this is known already, and DVC need not be asked.
    """

    settings = params.flow

    def name() -> str:
        return stage.of(str(task_run.parameters.get("instance", ""))).address

    @task(
        name=stage.name,
        task_run_name=name,
        cache_policy=NO_CACHE,  # DVC is the one cache
        retries=settings.retries if stage.retries else 0,
        retry_delay_seconds=exponential_backoff(settings.retry_delay_s),
        retry_jitter_factor=0.3,
        retry_condition_fn=_may_help,
    )
    def run(force: bool = False, instance: str = "", settled: bool = False) -> Outcome:
        if settled and not force:  # nobody has to wait for a place on the GPU
            return _unchanged(stage.of(instance).address)
        with training_slot(stage.trains, params):
            return run_stage(stage.of(instance).address, settings.timeout_minutes[stage.name] * 60, force)

    return run


@contextmanager
def training_slot(trains: bool, params: Params) -> Iterator[None]:
    """A place on the GPU for work that trains, for the time of the block."""
    with gpu_slot(params.flow.gpu_slots, logger(), params.device) if trains else nullcontext():
        yield


def _no_traceback(record: logging.LogRecord) -> bool:
    """Of a stage that failed its own message is the news; where in Prefect's engine it arrived is none."""
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
    note = folder / stage_note(name)
    note.unlink(missing_ok=True)
    errors: list[str] = []
    wait_for_dvc(folder, say)
    before = _state(name, folder)
    with child_process(command + (["--force"] if force else []), timeout_s, folder) as (child, expired):
        for level, line in lines_of(child):
            if not any(hint in line for hint in DVC_HINTS):
                say(line, level)
            if line.startswith("ERROR: "):
                errors.append(line)
        status = child.wait()
    if ending.is_set():
        raise KeyboardInterrupt
    if not status:
        return _outcome(name, note, before != _state(name, folder))
    if any("is busy, it is being blocked" in line for line in errors):  # by one that came in between
        return run_stage(name, timeout_s, force, folder)
    bring_back(name, partial(say, level=logging.WARNING), folder)
    if expired.is_set():
        limit = f"flow.timeout_minutes.{name.partition('@')[0]} ({timeout_s / 60:g} min)"
        raise StageFailed(f"{name} was stopped after {limit}; training goes on from its last checkpoint", again=False)
    raise _failure(name, note, status, errors)


def _outcome(name: str, note: Path, changed: bool) -> Outcome:
    if note.exists():
        return "ran"
    if changed:
        logger()(f"{name}: the same inputs were run before; outputs restored")
        return "restored"
    return _unchanged(name)


def _unchanged(name: str) -> Outcome:
    logger()(f"{name}: nothing that it depends on changed; not run")
    return "unchanged"


def settled_stages(names: list[str]) -> set[str]:
    """Those of ``names``, from the first on, that DVC need not be asked to run, by one question for all of them."""
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "status", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        changed = json.loads(done.stdout) if done.returncode == 0 else None
    except ValueError:
        changed = None
    if changed is None:  # each is asked for, and says what is wrong
        return set()
    return set(takewhile(lambda name: name not in changed, names))


def _state(name: str, folder: Path) -> tuple[str, list[tuple[str, int, int]]]:
    """What tells whether DVC did anything: the stage's entry in ``dvc.lock``, and its outputs' sizes and times."""
    lock = folder / "dvc.lock"
    entry = re.search(rf"^  {re.escape(name)}:\n(    .*\n)*", lock.read_text("utf-8"), re.M) if lock.exists() else None
    files = [file for file in sorted((folder / OUTPUTS / name.replace("@", "/")).rglob("*")) if file.is_file()]
    stats = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return entry[0] if entry else "", stats


def _failure(name: str, note: Path, status: int, errors: list[str]) -> StageFailed:
    """The stage's own message, or what DVC's last word means."""
    try:
        told = json.loads(note.read_text(encoding="utf-8"))
        return StageFailed(f"{name} failed: {told['message']}", told["again"])
    except (OSError, ValueError, KeyError):  # it said nothing, or that all went well: then DVC is what failed
        pass
    last = errors[-1].removeprefix("ERROR: ") if errors else f"dvc ended with status {status} and no message"
    last = last.removeprefix(f"failed to reproduce '{name}': ")
    if re.search(r"exited with (-9|137)$", last):
        last = (
            "its process was killed, most often because the machine's memory ran out. Lower its batch_size, or give "
            "it more memory; training goes on from its last checkpoint."
        )
    elif "No space left" in last or "No possible cache link types" in last:
        last += ". Most often the disk is full: free some space (.dvc/cache and outputs/ need it), then run again."
    return StageFailed(f"{name} failed: {last}", False)


def logger() -> Callable[..., None]:
    """Where lines go, with their level (INFO if none is given): the flow run's log, or the console outside of one."""
    try:
        log = get_run_logger()
    except MissingContextError:
        return lambda line, level=logging.INFO: print(line, flush=True)  # noqa: T201
    return lambda line, level=logging.INFO: log.log(level, "%s", line)
