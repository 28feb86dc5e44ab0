"""Agreement of the predictions on the device with those on the CPU: teacher and student, in fp32 and bf16."""

import numpy as np
import torch

from benchmarks.gpu.job import Job
from benchmarks.gpu.material import splits
from benchmarks.gpu.softlabels import fine_tuned
from benchmarks.gpu.students import STUDENT, prepared
from stillhouse.data.encoded import encode_texts
from stillhouse.data.splits import label_names
from stillhouse.models.students.student import load_student, predict_logits
from stillhouse.task import TASK

CPU = torch.device("cpu")


def agreement(job: Job) -> None:
    """Measure the share of texts with the same prediction, and the largest difference of the logits."""
    train, validation = splits(job, 4 * job.sizes.compared_texts)
    texts = validation["text"]
    teacher, which = fine_tuned(job, label_names(train))
    device = job.device
    teacher.model.to(CPU)
    reference = teacher.logits(texts, 32)
    teacher.model.to(device)
    for name, bf16 in (("fp32", False), ("bf16", True)):
        _compare(job, f"teacher, {name} on {device.type}", reference, teacher.logits(texts, 32, bf16))
    if device.type == "cuda":
        _compare(job, "teacher, bf16, 256 at once", reference, teacher.logits(texts, 256, True))
    saved = job.work / STUDENT
    student = load_student(saved) if saved.is_dir() else prepared(job, job.work).student
    encoded = encode_texts([validation], student.tokenizer, student.settings.reads, job.work / "agreement-ids")
    reference = predict_logits(student.network, encoded, CPU)
    _compare(job, f"student, fp32 on {device.type}", reference, predict_logits(student.network, encoded, device))
    job.note(
        f"{len(texts)} validation texts; each row against fp32 on the CPU. Teacher: packaged weights, {which}. "
        f"Student: {'trained in this run' if saved.is_dir() else 'untrained'}."
    )


def _compare(job: Job, name: str, reference: np.ndarray, other: np.ndarray) -> None:
    job.row(
        compared=name,
        **{
            "same answer": f"{TASK.agreement(TASK.decision(reference), TASK.decision(other)):.2%}",
            "largest difference of logits": float(np.abs(reference - other).max()),
            "logits' standard deviation": float(reference.std()),
        },
    )
    job.check()
