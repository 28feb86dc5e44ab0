"""Soft labels: texts per second by batch size, those of the network alone, and the automatically chosen size."""

import logging
import tempfile
import time
from pathlib import Path

import torch
from datasets import Dataset

from benchmarks.gpu.job import Job
from benchmarks.gpu.material import (
    ANSWERS,
    SAVED,
    described,
    mean_tokens,
    packaged,
    peak_gib,
    random_bert,
    splits,
    start_memory,
    work_per_text,
)
from stillhouse.data.encoded import longest_first
from stillhouse.data.splits import label_names
from stillhouse.distillation.softlabels import write_soft_labels
from stillhouse.models.batching import timed_rate
from stillhouse.models.device import use_bf16
from stillhouse.models.teacher import Teacher, load_teacher


def soft_labels(job: Job) -> None:
    """Measure both teachers with every batch size; the packaged one's soft labels are stored for the student."""
    train, _ = splits(job, job.sizes.student_texts)
    bf16 = use_bf16("auto", job.device)
    teacher, which = fine_tuned(job, label_names(train))
    answers = job.work / ANSWERS
    answers.mkdir(exist_ok=True)
    write_soft_labels(teacher, [train], 32, bf16, 0, answers)
    job.note(
        f"Packaged weights: {which}. The answers are the logits and the pooled states, as the pipeline writes them."
    )
    job.note(
        "The network alone answers the longest texts, padded and on the device before; TFLOP/s do not count padding. "
        f"Computed in {'bf16' if bf16 else 'fp32'}."
    )
    _by_size(job, "packaged", teacher, bf16)
    del teacher
    _by_size(job, "random", random_bert(job, label_names(train))[0], bf16)


def fine_tuned(job: Job, names: list[str]) -> tuple[Teacher, str]:
    """The teacher that an earlier part saved, else the packaged one with an untrained head; and a text for the note."""
    if (job.work / SAVED / "config.json").is_file():
        return load_teacher(job.work / SAVED, job.sizes.length, job.device), "fine-tuned in this run"
    teacher = packaged(job, names)[0]
    teacher.model.to(job.device)
    return teacher, "with an untrained head, since fine-tuning did not end"


def _by_size(job: Job, name: str, teacher: Teacher, bf16: bool) -> None:
    teacher.model.to(job.device).eval()
    texts = splits(job, job.sizes.soft_texts)[0].select_columns("text")
    work = work_per_text(teacher, mean_tokens(teacher, texts["text"][:500]), training=False)
    best = (0.0, 0)
    for size in job.sizes.soft_batches:
        job.check()
        start_memory(job.device)
        try:
            rate, portion = _rate(teacher, texts, size, bf16)
            alone = _network_alone(teacher, texts["text"], size, bf16)
        except torch.OutOfMemoryError:
            job.row(weights=name, batch=size, outcome="out of memory")
            break
        best = max(best, (rate, size))
        job.row(
            weights=name,
            batch=size,
            **{
                "texts/s": rate,
                "network alone, texts/s": alone,
                "TFLOP/s of the network alone": alone * work / 1e12,
                "memory GiB": peak_gib(job.device),
                "outcome": portion,
            },
        )
    chosen = teacher.fastest_batch(texts["text"][:1024], bf16)
    job.note(
        f"{name} ({described(teacher)}): most texts/s with {best[1]} at once; "
        f"`soft_labels.batch_size: auto` chose {chosen}."
    )


def _rate(teacher: Teacher, texts: Dataset, size: int, bf16: bool) -> tuple[float, str]:
    """Texts per second from strings to files, and whether the batches became smaller for lack of memory."""
    shrunk: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: shrunk.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("stillhouse.models.batching")
    logger.addHandler(handler)
    try:
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            write_soft_labels(teacher, [texts], size, bf16, 0, Path(folder))
            seconds = time.perf_counter() - start
    finally:
        logger.removeHandler(handler)
    return len(texts) / seconds, "; ".join(shrunk) or "as requested"


def _network_alone(teacher: Teacher, texts: list[str], size: int, bf16: bool) -> float:
    tokens = teacher.tokens(texts)
    rows = longest_first([len(ids) for ids in tokens["input_ids"]])[:size]
    chosen = {name: [values[row] for row in rows] for name, values in tokens.items()}
    device = teacher.model.device
    batch = {name: one.to(device) for name, one in teacher.tokenizer.pad(chosen, return_tensors="pt").items()}
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        return timed_rate(lambda: teacher.model(**batch, output_hidden_states=True), len(rows), device)
