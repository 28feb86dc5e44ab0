"""Runs one part in a separate process, so that a hang, a crash or a broken GPU state ends with that process."""

import importlib
import os
import sys
import time
import traceback

from benchmarks.gpu.job import Cut, Job
from stillhouse.errors import StillhouseError
from stillhouse.pipeline.parent import exit_with_parent


def work(job: Job, function: str) -> None:
    """Run ``function`` (module:function of this package) and record its final state; the output goes to a file."""
    os.setsid()  # a new process group, so that its children can be ended with it
    exit_with_parent()
    output = os.open(job.work / f"{job.part}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    start = time.time()
    module, _, name = function.partition(":")
    try:
        job.check()
        getattr(importlib.import_module(f"benchmarks.gpu.{module}"), name)(job)
        state = {"state": "done"}
    except Cut:
        state = {"state": "cut", "why": "its time was over"}
    except StillhouseError as error:
        state = {"state": "failed", "why": str(error)}
    except Exception as error:
        traceback.print_exc()
        state = {"state": "failed", "why": f"{type(error).__name__}: {str(error)[:400]}"}
    job.record.add(job.part, **state, seconds=round(time.time() - start, 1))
    sys.stdout.flush()
    sys.stderr.flush()


def sees_gpu() -> None:
    """Exit with status 0 if this process can compute on a GPU, else 1."""
    import torch

    sys.exit(0 if torch.cuda.is_available() and torch.ones(1, device="cuda").item() == 1 else 1)
