"""Two processes that train on the same GPU: the second waits for the first."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.gpu.job import Cut, Job, Stamps
from benchmarks.gpu.students import prepared, trained
from stillhouse.pipeline.slots import gpu_slot


def waiting(job: Job) -> None:
    """Start both processes at once; the times for which they hold the GPU slot must not overlap."""
    barrier = job.context.Barrier(2)
    files = [job.work / f"waiting-{name}.json" for name in ("first", "second")]
    both = [job.context.Process(target=_train, args=(job, file, barrier), daemon=True) for file in files]
    for process in both:
        process.start()
    while any(process.is_alive() for process in both):
        if job.left() <= 0:
            for process in both:
                process.kill()
            raise Cut
        both[0].join(0.05)
        both[1].join(0.05)
    spans = sorted((json.loads(file.read_text()) for file in files), key=lambda span: float(span["from"]))
    begin = min(span["requested"] for span in spans)
    for number, span in enumerate(spans, 1):
        job.row(
            process=number,
            **{
                "requested, s": span["requested"] - begin,
                "trained from, s": span["from"] - begin,
                "to, s": span["to"] - begin,
                "logged that it waits": "yes" if span["logged"] else "no",
            },
        )
    apart = spans[0]["to"] <= spans[1]["from"]
    job.note(
        f"`flow.gpu_slots: 1`, the place that stages take. The trainings {'do not overlap' if apart else 'OVERLAP'}. "
        "The student of params.yaml from random weights."
    )
    if not apart:
        raise RuntimeError("two trainings held the one place at the same time")


def _train(job: Job, file: Path, barrier: Any) -> None:
    os.environ["XDG_CACHE_HOME"] = str(job.work / "cache")  # not the GPU slots of the machine's other trainings
    material, logged = prepared(replace(job, part=file.stem), job.work), list[str]()
    barrier.wait(60)
    requested = time.time()
    with gpu_slot(1, logged.append, "auto"):
        begin = time.time()
        while time.time() - begin < job.sizes.hold_s:
            scratch = job.work / f"{file.stem}-{time.monotonic_ns()}"
            trained(job, material, scratch, Stamps(job))
        end = time.time()
    file.write_text(json.dumps({"requested": requested, "from": begin, "to": end, "logged": logged}), encoding="utf-8")
