"""A kill of ``make gpu`` loses nothing that was measured."""

import signal
import subprocess
import time

from project import ROOT
from test_gpu import command, environment

from benchmarks.gpu.page import page
from benchmarks.gpu.record import Record


def test_a_killed_run_keeps_what_it_measured(tmp_path):
    words = [*command(tmp_path), "--folder", str(tmp_path), "--start", "spawn"]
    running = subprocess.Popen(words, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    record = Record(tmp_path / "gpu.jsonl")
    deadline = time.monotonic() + 120
    while not any("row" in line for line in record.lines()) and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.wait()
    text = page(record)
    assert "| bf16 product, 512 x 512 |" in text and "**Not run**: the run ended before." in text
