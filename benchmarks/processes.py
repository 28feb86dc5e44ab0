"""Seconds and peak memory of a process."""

import re
import resource
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INTERVAL_S = 0.01  # between two readings of the memory


@dataclass(frozen=True)
class Measured:
    """A finished process.

    Attributes:
        seconds: from start to end.
        cpu_s: seconds of the processor, which other work on the machine hardly changes.
        peak_mb: the peak of its resident memory (VmHWM of Linux), with the pages of mapped files.
        own_mb: the peak of the memory without these pages (RssAnon of Linux). The system can drop the pages of mapped
            files at any time and read them again.
        output: what it printed, if that is short.
    """

    seconds: float
    cpu_s: float
    peak_mb: float
    own_mb: float
    output: str


def child(command: list[str], scratch: Path, **options: Any) -> Measured:
    """Run a process and measure it. ``options`` are those of ``Popen``.

    Raises:
        RuntimeError: it ended with an error. The message has its last line.
    """
    peaks = {"VmHWM": 0.0, "RssAnon": 0.0}
    output, errors = scratch / "output", scratch / "errors"
    start, before = time.perf_counter(), children_cpu_s()
    with (
        output.open("w") as out,
        errors.open("w") as error,
        subprocess.Popen(command, stdout=out, stderr=error, **options) as process,
    ):
        while process.poll() is None:
            with suppress(OSError):
                status = Path(f"/proc/{process.pid}/status").read_text()
                for name, value in re.findall(r"(VmHWM|RssAnon):\s+(\d+) kB", status):
                    peaks[name] = max(peaks[name], int(value) / 1024)
            time.sleep(INTERVAL_S)
        seconds = time.perf_counter() - start
    if process.returncode:
        last = (errors.read_text(errors="replace").strip().splitlines() or [""])[-1]
        raise RuntimeError(f"{' '.join(command[:4])} ended with status {process.returncode}: {last}")
    printed = output.read_text() if output.stat().st_size < 1000 else ""
    return Measured(seconds, children_cpu_s() - before, peaks["VmHWM"], peaks["RssAnon"], printed)


def children_cpu_s() -> float:
    """Return the seconds of the processor that all finished child processes took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
