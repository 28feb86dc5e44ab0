"""A killed training (SIGKILL) resumes from its checkpoint and reaches the loss of an uninterrupted training."""

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.gpu import students, teachers
from benchmarks.gpu.job import SMALL, Cut, Job, Stamps
from benchmarks.gpu.material import packaged, splits
from stillhouse.data.splits import label_names

KILLED_AFTER = 3  # epochs of the student
FOREVER_S = 3600.0


class _FileLog(Stamps):
    """Writes each step to a file. If ``stop`` is true for a step, it waits there for the kill."""

    def __init__(self, job: Job, file: Path, stop: Any = None) -> None:
        super().__init__(job)
        self.file, self.stop = file, stop

    def metrics(self, values: dict[str, Any], step: int | None = None) -> None:
        super().metrics(values, step)
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        if self.stop and self.stop(step):
            self.file.with_suffix(".ready").touch()
            time.sleep(FOREVER_S)


def student(job: Job) -> None:
    """Kill and resume the training of the student in its third epoch."""
    _measure(job, _train_student, "epoch", "loss")
    job.note(
        f"The student of params.yaml from random weights, killed once it had reported epoch {KILLED_AFTER} and not yet "
        "stored it."
    )


def teacher(job: Job) -> None:
    """Kill and resume the fine-tuning of the teacher after its first checkpoint."""
    _measure(job, _train_teacher, "step", "validation_loss")
    job.note(
        "The packaged teacher in bf16 where the device has it, killed at the first numbers after its first checkpoint."
    )


def _measure(job: Job, train: Any, unit: str, loss: str) -> None:
    folder = job.work / job.part
    folder.mkdir()
    first = job.context.Process(target=train, args=(job, folder / "killed", folder / "first.jsonl", True), daemon=True)
    first.start()
    _wait(job, first, folder / "first.ready")
    os.kill(first.pid, signal.SIGKILL)
    first.join()
    seen = _numbers(folder / "first.jsonl")
    logs = {}
    for name, scratch in (("second", "killed"), ("whole", "whole")):
        start = time.perf_counter()
        args = (job, folder / scratch, folder / f"{name}.jsonl", False)
        other = job.context.Process(target=train, args=args, daemon=True)
        other.start()
        _wait(job, other, None)
        logs[name] = (_numbers(folder / f"{name}.jsonl"), time.perf_counter() - start)
        if other.exitcode:
            raise RuntimeError(f"the {name} training ended with status {other.exitcode}")
    resumed, whole = ([row[loss] for row in logs[name][0] if loss in row] for name in ("second", "whole"))
    job.row(
        **{
            f"killed at {unit}": seen[-1]["step"],
            f"went on with {unit}": logs["second"][0][0]["step"],
            f"{unit}s of the whole": logs["whole"][0][-1]["step"],
            "last loss, killed and resumed": resumed[-1],
            "last loss, not killed": whole[-1],
            "difference": abs(resumed[-1] - whole[-1]),
            "resumed, s": logs["second"][1],
            "not killed, s": logs["whole"][1],
        }
    )


def _wait(job: Job, process: Any, file: Path | None) -> None:
    """Wait until ``file`` exists or the process has ended; at the deadline kill it and raise Cut."""
    while process.is_alive() and not (file and file.exists()):
        if job.left() <= 0:
            process.kill()
            raise Cut
        process.join(0.05)
    if file and not file.exists():
        raise RuntimeError(f"the training ended before it could be killed, with status {process.exitcode}")


def _numbers(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _train_student(job: Job, scratch: Path, file: Path, killed: bool) -> None:
    log = _FileLog(job, file, (lambda epoch: epoch >= KILLED_AFTER) if killed else None)
    own = replace(job, part=f"{job.part}-{file.stem}")
    students.trained(job, students.prepared(own, job.work), scratch, log)


def _train_teacher(job: Job, scratch: Path, file: Path, killed: bool) -> None:
    train, validation = splits(job, job.sizes.accuracy_texts)
    changes = {"epochs": 1, "checkpoints_per_epoch": 3, "compile": False}
    model, settings = packaged(job, label_names(train), **changes)
    if job.sizes is SMALL:
        settings = settings.model_copy(update={"batch_size": 2})

    def stop(step: int) -> bool:
        return any(file.parent.name != f"checkpoint-{step}" for file in scratch.glob("checkpoint-*/trainer_state.json"))

    teachers.tuned(job, model, train, validation, settings, scratch, _FileLog(job, file, stop if killed else None))
