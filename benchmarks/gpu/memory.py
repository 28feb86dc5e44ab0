"""Out of memory: the teacher splits a batch that is too large, and the predictions stay the same."""

from typing import Any

import numpy as np
import torch

from benchmarks.gpu.job import Job
from benchmarks.gpu.material import described, random_bert, splits
from stillhouse.data.splits import label_names
from stillhouse.task import TASK

ROOM = 0.75 * 2**30  # bytes besides the weights; 1024 texts of 128 tokens need several times as much
FITS = 8  # texts at once that fit, in the small form


def out_of_memory(job: Job) -> None:
    """Predict with a large batch and little memory, and compare with the predictions of small batches."""
    size = job.sizes.memory_batch
    texts = splits(job, max(size, 32))[0]
    teacher, _ = random_bert(job, label_names(texts))
    teacher.model.to(job.device)
    before = teacher.logits(texts["text"], FITS)
    if job.device.type == "cuda":
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(job.device).total_memory
        limit = torch.cuda.memory_reserved(job.device) + ROOM
        torch.cuda.set_per_process_memory_fraction(min(limit / total, 1.0))  # for the current device
        how = f"PyTorch may use {limit / 2**30:.2f} GiB of the GPU's memory"
    else:
        _simulate(teacher.model)
        how = f"simulated: more than {FITS} texts at once raise PyTorch's error"
    after = np.empty_like(before)
    found = []
    for rows, _, output in teacher.batches(texts["text"], size):
        after[rows] = output.logits.float().cpu().numpy()
        found.append(len(rows))
        job.check()
    job.row(
        **{
            "requested batch": size,
            "batch that fits": ", ".join(str(count) for count in sorted(set(found), reverse=True)),
            "became smaller": "yes" if max(found) < min(size, len(texts)) else "no",
            "same answer as in small batches": f"{TASK.agreement(TASK.decision(before), TASK.decision(after)):.2%}",
            "largest difference of logits": float(np.abs(before - after).max()),
        },
    )
    job.note(f"Random weights ({described(teacher)}), {len(texts)} texts; {how}.")


def _simulate(model: Any) -> None:
    forward = model.forward

    def limited(input_ids: torch.Tensor, **others: Any) -> Any:
        if len(input_ids) > FITS:
            raise torch.OutOfMemoryError("CUDA out of memory (simulated).")
        return forward(input_ids, **others)

    model.forward = limited
