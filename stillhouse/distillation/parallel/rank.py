"""One rank of a job: ``python -m stillhouse.distillation.parallel.rank <folder of the job>``.

Its place among the ranks is in the environment variables of ``torchrun``: RANK, WORLD_SIZE and LOCAL_RANK, and with
several nodes MASTER_ADDR and MASTER_PORT.
"""

import json
import logging
import os
import signal
import sys
import time
import traceback
from datetime import timedelta
from importlib import import_module
from pathlib import Path

import torch
from torch import distributed

from stillhouse.distillation.log import NoLog
from stillhouse.distillation.parallel.group import Group
from stillhouse.distillation.parallel.launch import ERROR, JOB, METRICS, FileLog
from stillhouse.errors import StillhouseError
from stillhouse.models.device import choose_device
from stillhouse.pipeline.log import configure

# The others wait while the first rank measures and writes a checkpoint. A rank that died is noticed without a timeout.
LONGEST_WAIT = timedelta(hours=2)
KINDS = ("student", "labels", "teacher")  # modules of this package with a function run; only one is imported


def main() -> None:
    """Run the rank. An error is written to the job's folder."""
    folder, group = Path(sys.argv[1]), Group(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends the process at once; its files are complete at any time
    configure()
    if not group.first:
        logging.disable(logging.INFO)
    try:
        job = json.loads((folder / JOB).read_text(encoding="utf-8"))
        device = choose_device(job["device"])
        if device.type == "cuda":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        distributed.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            init_method="env://" if job["nodes"] > 1 else (folder / "rendezvous").resolve().as_uri(),
            rank=group.rank,
            world_size=group.size,
            timeout=LONGEST_WAIT,
        )
        module = import_module(f"stillhouse.distillation.parallel.{KINDS[KINDS.index(job['kind'])]}")
        module.run(job, folder, group, device, FileLog(folder / METRICS) if group.first else NoLog())
        distributed.destroy_process_group()
    except Exception as error:
        known = type(error).__name__ if isinstance(error, StillhouseError) else ""
        message = str(error) if known else f"{type(error).__name__}: {error}"
        found = {
            "rank": group.rank,
            "time": time.time(),
            "known": known,
            "message": message,
            "traceback": traceback.format_exc(),
        }
        (folder / ERROR.format(rank=group.rank)).write_text(json.dumps(found), encoding="utf-8")
        os._exit(1)  # the exit handlers of a broken process group may wait for the other ranks


if __name__ == "__main__":
    main()
