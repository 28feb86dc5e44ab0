"""Stage ``device``: distil and compress a student for one of ``devices``, with the device's settings."""

import sys

from stillhouse.distillation.scratch import mark_finished
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.stage import Metrics, command
from tasks.compress import write_compressed
from tasks.student import distil


def device(context: Context) -> Metrics:
    """Write the served ``model/``, ``training.csv``, and ``speed.json``, which DVC does not store."""
    params = context.params
    student, numbers = distil(context, params, context.stage.address)
    numbers |= write_compressed(context, student, params.compress)
    mark_finished(context.stage.address)  # only now: if the compression fails, the next run does not train again
    return numbers


if __name__ == "__main__":
    command("device", device, sys.argv[1])
