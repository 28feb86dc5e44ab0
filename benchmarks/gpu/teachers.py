"""Fine-tuning of the teacher with the pipeline's own function: accuracy, speed, memory."""

import shutil
import statistics
import time
from pathlib import Path
from typing import Any

from datasets import Dataset

from benchmarks.gpu.job import Cut, Job, Stamps
from benchmarks.gpu.material import (
    SAVED,
    SEED,
    described,
    mean_tokens,
    packaged,
    peak_gib,
    random_bert,
    splits,
    start_memory,
    stored,
    work_per_text,
)
from stillhouse.data.splits import label_names
from stillhouse.distillation.finetune import finetune
from stillhouse.distillation.hints import Hints
from stillhouse.models.device import can_compile
from stillhouse.models.teacher import Teacher
from stillhouse.params import Teacher as Settings


def fp32(job: Job) -> None:
    """Measure fine-tuning in single precision."""
    _measure(job, bf16=False, compiled=False)


def bf16(job: Job) -> None:
    """Measure fine-tuning with autocast to bfloat16; the teacher is saved for the later parts."""
    _measure(job, bf16=True, compiled=False)


def compiled(job: Job) -> None:
    """Measure fine-tuning in bfloat16 with torch.compile on a GPU."""
    compiles = job.device.type == "cuda"
    if not compiles:
        job.note("Nothing is compiled on a CPU: this is the part before it once more.")
    elif not can_compile():
        job.note("Triton, a C compiler or Python's headers are missing: `teacher.compile: auto` compiles nothing.")
        return
    _measure(job, bf16=True, compiled=compiles)


def _measure(job: Job, bf16: bool, compiled: bool) -> None:
    how: dict[str, Any] = {"bf16": bf16, "compile": compiled, "checkpoints_per_epoch": 1}
    sizes, peak = job.sizes, "bf16 TFLOP/s" if bf16 else "fp32 TFLOP/s"
    train, validation = splits(job, sizes.steps * sizes.batch)
    held = validation.select(range(min(len(validation), 4 * sizes.batch)))
    teacher, settings = random_bert(job, label_names(train), **how, epochs=1, batch_size=sizes.batch)
    tokens = mean_tokens(teacher, train["text"][:500])
    work = work_per_text(teacher, tokens, training=True)
    stamps, seconds, cut = _trained(job, teacher, train, held, settings)
    steps = stamps.step_seconds()
    row = {"weights": f"random, {described(teacher)}", "batch": settings.batch_size, "memory GiB": peak_gib(job.device)}
    if steps:
        rate = settings.batch_size / statistics.median(steps)
        row |= {"texts/s": rate, "TFLOP/s": rate * work / 1e12}
        if ceiling := job.ceiling(peak):
            row["share of the product's"] = f"{rate * work / 1e12 / ceiling:.1%}"
    row["first 10 steps, s"] = stamps.rows[0][0] - seconds[0] if stamps.rows else None
    job.row(**row)
    job.note(
        f"Speed: random weights, texts of {tokens:.0f} tokens (the mean; padding is not counted as work), the median "
        f"of {len(steps)} stretches of 10 steps after the first 10, which also tokenize"
        f"{' and compile' if compiled else ''}."
    )
    if cut:
        raise Cut
    del teacher
    _accuracy(job, how)


def _accuracy(job: Job, how: dict[str, Any]) -> None:
    sizes = job.sizes
    train, validation = splits(job, sizes.accuracy_texts)
    teacher, settings = packaged(job, label_names(train), **how, epochs=sizes.epochs)
    stamps, seconds, cut = _trained(job, teacher, train, validation, settings)
    steps = stamps.step_seconds()
    found = [values["validation_accuracy"] for _, _, values in stamps.rows if "validation_accuracy" in values]
    job.row(
        weights=f"packaged, {described(teacher)}",
        batch=settings.batch_size,
        **{
            "memory GiB": peak_gib(job.device),
            "texts/s": settings.batch_size / statistics.median(steps) if steps else None,
            "accuracy": f"{max(found):.2%}" if found else None,
            "whole, s": seconds[1] - seconds[0],
        },
    )
    job.note(
        f"Accuracy: the packaged weights ({stored(job)}), {len(train)} texts to learn from, "
        f"{len(validation)} to validate on, freeze_layers {settings.freeze_layers}, as params.yaml trains them."
    )
    if cut:
        raise Cut
    if how["bf16"] and not how["compile"]:
        teacher.model.save_pretrained(job.work / SAVED)
        teacher.tokenizer.save_pretrained(job.work / SAVED)


def _trained(
    job: Job, teacher: Teacher, train: Dataset, validation: Dataset, settings: Settings
) -> tuple[Stamps, tuple[float, float], bool]:
    """Fine-tune; returns the log, the times of start and end, and whether the deadline ended it."""
    stamps, scratch, cut = Stamps(job), job.work / f"{job.part}-scratch", False
    start_memory(job.device)
    begin = time.perf_counter()
    try:
        tuned(job, teacher, train, validation, settings, scratch, stamps)
    except Cut:
        cut = True
    shutil.rmtree(scratch, ignore_errors=True)
    return stamps, (begin, time.perf_counter()), cut


def tuned(
    job: Job, teacher: Teacher, train: Dataset, validation: Dataset, settings: Settings, scratch: Path, log: Stamps
) -> list[dict[str, float]]:
    """:func:`finetune` with the arguments that all parts have in common."""
    scratch.mkdir(parents=True, exist_ok=True)
    return finetune(
        teacher, train, validation, settings, Hints("none"), device=job.device, seed=SEED, scratch=scratch, log=log
    )
