"""The log of a run: short, and never silent for long."""

import io
import logging
import time
from contextvars import ContextVar

from rich.console import Console
from rich.progress import Progress as RichProgress

from flows.shared import terminal
from flows.shared.terminal import StageLines, live_lines
from stillhouse.pipeline.heartbeat import Heartbeat
from stillhouse.progress import VARIABLE, Progress


def test_the_first_and_the_last_step_are_logged_and_a_line_every_45_seconds(caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    progress = Progress(logging.getLogger("stillhouse"))
    for number in range(1, 31):
        progress.step("epoch", number, 30, f"loss {1 / number:.2f}")
        now += 3.0
    steps = [int(line.message.split()[1]) for line in caplog.records]
    assert steps == [1, 16, 30] and caplog.records[-1].message == "epoch 30 of 30: loss 0.03"


def test_every_step_is_logged_if_the_variable_is_zero(caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setenv(VARIABLE, "0")
    progress = Progress(logging.getLogger("stillhouse"))
    for number in range(1, 6):
        progress.step("step", number, 9, "loss 1")
    assert len(caplog.records) == 5


def test_a_silent_stage_gets_a_line_and_one_that_prints_gets_none():
    lines: list[str] = []
    run: ContextVar[str] = ContextVar("run")
    run.set("the flow's")
    with Heartbeat("student", lambda line: lines.append(f"{run.get('none')}: {line}"), silence_s=0.4) as heartbeat:
        for _ in range(10):
            time.sleep(0.1)
            heartbeat.beat()
        assert not lines
        time.sleep(1.0)
    assert lines and set(lines) == {"the flow's: student is at work, 0 min so far"}


def record(message: str, stage: str | None = None, level: int = logging.INFO) -> logging.LogRecord:
    """A record of the log of a stage's task, as Prefect makes it."""
    made = logging.LogRecord("prefect.task_runs", level, "", 0, message, None, None)
    if stage:
        made.task_run_name = stage
    return made


def test_a_log_without_a_terminal_leaves_out_that_a_stage_was_completed(monkeypatch):
    handler = logging.NullHandler()
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    monkeypatch.setattr(terminal, "setup_logging", lambda: None)
    with live_lines():
        records = [record(f"Finished in state {state}", "student") for state in ("Completed()", "Failed('no memory')")]
        records += [record("Finished in state Completed()")]
        assert [bool(handler.filter(one)) for one in records] == [False, True, True]


def test_a_terminal_shows_the_running_stage_and_a_line_for_each_finished_one():
    shown = Console(file=io.StringIO(), width=100, force_terminal=False)
    with RichProgress(console=shown, auto_refresh=False) as progress:
        lines = StageLines(progress)
        lines.emit(record("Beginning flow run"))
        lines.emit(record("prepare: no dependency changed; not run", "prepare"))
        lines.emit(record("Finished in state Completed()", "prepare"))
        lines.emit(record("Running stage 'student':", "student"))
        lines.emit(record("epoch 3 of 12: loss 0.5, accuracy on validation 0.9", "student"))
        (task,) = progress.tasks
        assert (task.description, task.completed, task.total) == ("student", 3, 12)
        lines.emit(record("a [red] label is rare", "student", logging.WARNING))
        lines.emit(record("Finished in state Completed()", "student"))
        lines.emit(record("Running stage 'evaluate':", "evaluate"))
        lines.emit(record("Finished in state Failed('no memory')", "evaluate"))
        assert not progress.tasks
    printed = [line.rstrip() for line in shown.file.getvalue().splitlines() if line.strip()]
    assert printed[0].split() == ["prepare", "not", "changed"] and printed[1] == "student: a [red] label is rare"
    assert printed[2].startswith("student        done") and printed[2].endswith("accuracy on validation 0.9")
    assert printed[3].startswith("evaluate       failed")
