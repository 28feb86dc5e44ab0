"""Stage ``compress``: the trained student as a small ONNX file that answers as it does."""

import tempfile
from pathlib import Path

from tasks.stage import OUTPUTS, Context, Metrics, Stage, write_json

STAGE = Stage("compress")


def compress(context: Context) -> Metrics:
    """Write ``model/`` (``model.onnx``, ``tokenizer.json`` and ``config.json``, all that serving needs).

    ``speed.json`` says how fast each step's result is on this machine; DVC does not keep it.
    """
    from stillhouse.compression.steps import compress_student
    from stillhouse.data.splits import read_split
    from stillhouse.models.students.student import load_student
    from stillhouse.provenance import folder_md5

    student, data = load_student(OUTPUTS / "student" / "model"), OUTPUTS / "prepare"
    train, validation = read_split(data / "train.arrow"), read_split(data / "validation.arrow")
    with tempfile.TemporaryDirectory() as scratch:
        ladder = compress_student(
            student, context.params.compress, train, validation, Path(scratch), context.out / "model"
        )
    # Names what was timed: DVC may bring back another model beside it.
    write_json(
        context.out / "speed.json",
        {"model_md5": folder_md5(context.out / "model"), "docs_per_s": ladder.docs_per_s},
    )
    return {"kept": ladder.last, "steps": ladder.numbers}


if __name__ == "__main__":
    STAGE.command(compress)
