"""The log of a run: short, and never silent for long."""

import logging
import time

from stillhouse.pipeline.heartbeat import Heartbeat
from stillhouse.progress import VARIABLE, Progress


def test_the_first_and_the_last_step_are_logged_and_a_line_each_twenty_seconds(caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    progress = Progress(logging.getLogger("stillhouse"))
    for number in range(1, 31):
        progress.step("epoch", number, 30, f"loss {1 / number:.2f}")
        now += 3.0
    steps = [int(line.message.split()[1]) for line in caplog.records]
    assert steps == [1, 8, 15, 22, 29, 30] and caplog.records[-1].message == "epoch 30 of 30: loss 0.03"


def test_every_step_is_logged_if_the_variable_is_zero(caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setenv(VARIABLE, "0")
    progress = Progress(logging.getLogger("stillhouse"))
    for number in range(1, 6):
        progress.step("step", number, 9, "loss 1")
    assert len(caplog.records) == 5


def test_a_silent_stage_gets_a_line_and_one_that_prints_gets_none():
    lines: list[str] = []
    with Heartbeat("student", lines.append, silence_s=0.4) as heartbeat:
        for _ in range(10):
            time.sleep(0.1)
            heartbeat.beat()
        assert not lines
        time.sleep(1.0)
    assert lines and set(lines) == {"student is at work, 0 min so far"}
