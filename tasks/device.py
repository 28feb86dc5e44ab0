"""Stage ``device``: the student of one of ``devices``, distilled and compressed as the device asks for."""

import sys

from stillhouse.distillation.scratch import mark_finished
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.stage import Metrics, command
from tasks.compress import squeeze
from tasks.student import distil


def device(context: Context) -> Metrics:
    """Write ``model/`` (what is served), ``training.csv``, and ``speed.json``, which DVC does not keep."""
    params = context.params
    student, numbers = distil(context, params)
    numbers |= squeeze(context, student, params.compress)
    mark_finished(context.stage.address)  # only now: what compress refuses need not be trained again
    return numbers


if __name__ == "__main__":
    command("device", device, sys.argv[1])
