"""Stage ``device``: the student of one of ``devices``, distilled and compressed as the device asks for."""

import sys

from tasks.compress import squeeze
from tasks.stage import Context, Metrics, Stage
from tasks.student import distil

STAGE = Stage("device", trains=True)


def device(context: Context) -> Metrics:
    """Write ``model/`` (what is served), ``training.csv``, and ``speed.json``, which DVC does not keep."""
    from stillhouse.distillation.checkpoints import clear_scratch

    params = context.params.for_device(context.instance)
    stage = STAGE.of(context.instance)
    student, numbers = distil(context, stage, params)
    numbers |= squeeze(context, student, params.compress)
    clear_scratch(stage.address)  # only now: what compress refuses need not be trained again
    return numbers


if __name__ == "__main__":
    STAGE.of(sys.argv[1]).command(device)
