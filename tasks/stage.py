"""What every stage has in common: parameters in, a tracked run, an output folder that is whole or absent.

``python -m tasks.<stage>`` (which is what ``dvc.yaml`` calls) ends with status 0, or prints one message and
ends with status 1.
"""

import csv
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

from stillhouse.errors import BadInput, StillhouseError, Unavailable
from stillhouse.params import Params, StageName, load_params
from tasks.lock import STATE, refuse_beside_a_flow

# Before PyTorch is loaded: its threads (libgomp's) spin while they wait, by default so long that of two trainings on
# the same two cores each takes 36 times as long as alone. So short it is three times, and alone nothing is lost.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

OUTPUTS = Path("outputs")
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Metrics = dict[str, Any]


@dataclass(frozen=True)
class Context:
    """What a stage works with: parameters, an empty folder for its files, its MLflow run, and which of ``devices``."""

    params: Params
    device: str
    out: Path
    run: Any
    instance: str = ""


@dataclass(frozen=True)
class Stage:
    """A stage's name and manners: whether it trains on the device, and whether a second try can help.

    A stage that is run once for each of ``devices`` has one ``instance`` a device.
    """

    name: StageName
    trains: bool = False
    retries: bool = False
    instance: str = ""

    @property
    def address(self) -> str:
        """What DVC calls it."""
        return f"{self.name}@{self.instance}" if self.instance else self.name

    @property
    def folder(self) -> Path:
        """Where its outputs are."""
        return OUTPUTS / self.name / self.instance

    def of(self, instance: str) -> "Stage":
        """The same stage for one device."""
        return replace(self, instance=instance)

    def command(self, work: Callable[[Context], Metrics]) -> None:
        """Run ``work`` as the command of this stage and leave the process."""
        failure = STATE / f"failure-{self.address}.json"
        with suppress(OSError):
            STATE.mkdir(exist_ok=True)
            failure.unlink(missing_ok=True)
        for number in STOPS:
            signal.signal(number, _leave)  # so that the run and the files are put in order
        _keep_memory()
        try:
            refuse_beside_a_flow()
            self._run(work)
            return
        except StillhouseError as error:
            message, again = str(error), isinstance(error, Unavailable)
            print(f"\n{self.address} failed: {message}\n", file=sys.stderr, flush=True)
        except PermissionError as error:
            message, again = f"{error.filename} is not writable or not readable ({error.strerror}).", False
            print(f"\n{self.address} failed: {message}\n", file=sys.stderr, flush=True)
        except Exception as error:
            message, again = f"{type(error).__name__}: {error}", False
            traceback.print_exc()
        with suppress(OSError):
            failure.write_text(json.dumps({"message": message, "again": again}), encoding="utf-8")
        self._restore()
        sys.exit(1)

    def _run(self, work: Callable[[Context], Metrics]) -> None:
        params = load_params()
        device = _choose_visible_device(params.device)
        partial = OUTPUTS / f".{self.address}.partial"
        _empty(partial)
        from stillhouse.provenance import folder_md5
        from stillhouse.tracking.runs import OUTPUT_TAG, stage_run

        with self._lock(device), stage_run(params.tracking.experiment, self.address) as run:
            run.params(self._tracked_params())
            metrics = work(Context(params, device, partial, run, self.instance))
            write_json(partial / "metrics.json", metrics)
            run.metrics({"final": metrics})
            run.tags({OUTPUT_TAG: folder_md5(partial)})
            _publish(partial, self.folder)

    def _lock(self, device: str) -> Any:
        """One training at a time on this machine's GPU, also when DVC is run without Prefect."""
        if not self.trains or device == "cpu":
            return nullcontext()
        from stillhouse.models.device import choose_device

        if choose_device(device).type == "cpu":
            return nullcontext()
        lock = FileLock(Path.home() / ".cache" / f"stillhouse-gpu-{os.environ.get('CUDA_VISIBLE_DEVICES', '0')}.lock")
        Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        return lock

    def _tracked_params(self) -> dict[str, Any]:
        """The keys that ``dvc.yaml`` lists for this stage, with their values."""
        stage = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"][self.name]
        values = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
        keys = [key.replace("${key}", self.instance) for key in stage.get("do", stage).get("params", [])]
        return {key: _pick(values, key) for key in keys}

    def _restore(self) -> None:
        """DVC removed the last good outputs before it started this command: bring them back from its cache."""
        shutil.rmtree(OUTPUTS / f".{self.address}.partial", ignore_errors=True)
        locked = Path("dvc.lock")
        if not locked.exists() or f"\n  {self.address}:\n" not in locked.read_text(encoding="utf-8"):
            return
        command = [sys.executable, "-m", "dvc", "checkout", "--quiet", "--force", self.address]
        subprocess.run(command, capture_output=True, timeout=120, check=False)


def _keep_memory() -> None:
    """Let glibc keep what PyTorch frees: a training step asks for it again at once, and fetching it anew costs 4 %."""
    with suppress(AttributeError, OSError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        trim_threshold, mmap_threshold = -1, -3  # names of malloc.h
        mallopt(mmap_threshold, 1 << 30)
        mallopt(trim_threshold, (1 << 31) - 1)


def write_json(file: Path, content: Any) -> None:
    """Indented JSON, floats rounded to six digits so that a diff shows differences that matter."""
    rounded = json.loads(json.dumps(content), parse_float=lambda number: round(float(number), 6))
    file.write_text(json.dumps(rounded, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_csv(file: Path, rows: list[dict[str, Any]]) -> None:
    """A table for ``dvc plots``; the first row's keys are the columns."""
    with file.open("w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)


def _choose_visible_device(device: str) -> str:
    """Show PyTorch one GPU, the asked one or the first, since transformers' Trainer takes all that it sees."""
    if device.startswith("cuda:"):
        os.environ["CUDA_VISIBLE_DEVICES"] = device.removeprefix("cuda:")
        return "cuda"
    if device in ("auto", "cuda"):
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
    return device


def _empty(folder: Path) -> None:
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    except OSError as error:
        raise BadInput(
            f"the output folder {folder.parent.resolve()} is not writable ({error.strerror}). Make it a folder that "
            "you may write to."
        ) from None


def _publish(partial: Path, final: Path) -> None:
    """Move each finished file or folder into place; the old one goes only when the new one is whole."""
    final.mkdir(parents=True, exist_ok=True)
    for entry in sorted(partial.iterdir()):
        target = final / entry.name
        shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
        entry.replace(target)
    partial.rmdir()


def _pick(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values[part]
    return values


def _leave(signal_number: int, frame: Any) -> None:
    for number in STOPS:
        signal.signal(number, lambda *_: None)  # once is enough
    sys.exit(128 + signal_number)
