"""Stage ``compress``: the trained student as a small ONNX file that answers as it does."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.stage import OUTPUTS, Context, Metrics, Stage, write_json

if TYPE_CHECKING:
    from stillhouse.models.students.student import Student
    from stillhouse.params import Compress

STAGE = Stage("compress")


def compress(context: Context) -> Metrics:
    """Write ``model/`` and ``speed.json`` for what the stage ``student`` left, or the control where that is better."""
    from stillhouse.compression.parity import Reference
    from stillhouse.data.splits import read_split
    from stillhouse.evaluation.choice import worth_keeping
    from stillhouse.models.students.student import load_student

    validation = read_split(OUTPUTS / "prepare" / "validation.arrow")
    networks = {name: load_student(OUTPUTS / name / "model") for name in ("student", "control")}
    student, control = (Reference.of(network, validation) for network in networks.values())
    source = worth_keeping(student.labels, student.probabilities, control.probabilities)
    if source == "control":
        print("distillation did not pay: the control is shown to be better on validation, and is compressed instead")
    return {"source": source, **squeeze(context, networks[source], context.params.compress)}


def squeeze(context: Context, student: "Student", settings: "Compress") -> Metrics:
    """Write ``model/`` (``model.onnx``, ``tokenizer.json`` and ``config.json``, all that serving needs).

    ``speed.json`` says how fast each step's result is on this machine; DVC does not keep it.
    """
    from stillhouse.compression.steps import compress_student
    from stillhouse.data.splits import read_split
    from stillhouse.provenance import folder_md5

    out, data = context.out, OUTPUTS / "prepare"
    train, validation = read_split(data / "train.arrow"), read_split(data / "validation.arrow")
    with tempfile.TemporaryDirectory() as scratch:
        ladder = compress_student(student, settings, train, validation, Path(scratch), out / "model")
    # Names what was timed: DVC may bring back another model beside it.
    write_json(out / "speed.json", {"model_md5": folder_md5(out / "model"), "docs_per_s": ladder.docs_per_s})
    return {"kept": ladder.last, "steps": ladder.numbers}


if __name__ == "__main__":
    STAGE.command(compress)
