"""Upper limits of the device: the speed of a large matrix product, and of a copy within its memory."""

import platform
from contextlib import suppress
from importlib.metadata import version
from typing import Any

import torch

from benchmarks.gpu.job import SMALL, Job
from stillhouse.evaluation.report import machine
from stillhouse.models.batching import timed_rate
from stillhouse.models.device import device_name


def ceilings(job: Job) -> None:
    """Record the machine, its TFLOP/s in bf16 and fp32, and its GB/s."""
    job.record.add(job.part, machine=_machine(job))
    job.note("No weights and no data: random matrices. A copy counts the bytes it reads and those it writes.")
    size, device = job.sizes.matrix, job.device
    for name, kind in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        one = torch.randn(size, size, device=device, dtype=kind)
        other = torch.randn(size, size, device=device, dtype=kind)
        rate = _best(lambda one=one, other=other: one @ other, 2.0 * size**3, device)
        job.row(measure=f"{name} product, {size} x {size}", **{f"{name} TFLOP/s": rate / 1e12})
        job.check()
    source = torch.empty(job.sizes.copy_mib * 2**20, dtype=torch.uint8, device=device).fill_(1)
    target = torch.empty_like(source)
    rate = _best(lambda: target.copy_(source), 2.0 * source.numel(), device)
    job.row(measure=f"copy of {job.sizes.copy_mib} MiB", **{"GB/s": rate / 1e9})


def _best(function: Any, work: float, device: torch.device) -> float:
    """The highest rate of five calls of ``function``, in units of ``work`` per second."""
    return max(timed_rate(function, 1, device) for _ in range(5)) * work


def _machine(job: Job) -> dict[str, Any]:
    found: dict[str, Any] = {
        "device": device_name(job.device),
        "type": job.device.type,
        "small": job.sizes is SMALL,
        "processor": machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": version("transformers"),
    }
    if job.device.type == "cuda":
        properties = torch.cuda.get_device_properties(job.device)
        found |= {"cuda": torch.version.cuda, "memory_gib": properties.total_memory / 2**30}
        with suppress(Exception):  # not every machine has the driver's library
            import pynvml  # type: ignore[import-not-found]

            pynvml.nvmlInit()
            found["driver"] = str(pynvml.nvmlSystemGetDriverVersion())
    return found
