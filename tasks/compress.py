"""Stage ``compress``: the trained student as a small ONNX file that answers as it does."""

import logging
import tempfile
from itertools import islice
from pathlib import Path

from stillhouse.compression.parity import Reference
from stillhouse.compression.steps import compress_student
from stillhouse.evaluation.choice import select_network
from stillhouse.files import write_json
from stillhouse.models.students.student import Student, load_student
from stillhouse.params import Compress
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.stage import Metrics, command
from stillhouse.provenance import folder_md5
from stillhouse.serving.chunks import commonest

logger = logging.getLogger(__name__)

COMMON = 8_000  # stretches of text whose word pieces are shipped: about 0.1 MB
LOOKED_AT = 20_000  # texts that they are counted in


def compress(context: Context) -> Metrics:
    """Write ``model/`` and ``speed.json`` for what the stage ``student`` left, or the control where that is better."""
    student, control = (load_student(context.path(f"{name}/model")) for name in ("student", "control"))
    answers, plain = _reference(context, student), _reference(context, control)
    labelled = slice(len(answers.labels))
    source = select_network(answers.labels, answers.probabilities[labelled], plain.probabilities[labelled])
    if source == "student":
        return {"source": source, **squeeze(context, student, context.params.compress, answers)}
    logger.warning("distillation did not pay: the control is shown better on validation, and is compressed instead")
    return {"source": source, **squeeze(context, control, context.params.compress, plain)}


def squeeze(context: Context, student: Student, settings: Compress, reference: Reference | None = None) -> Metrics:
    """Write ``model/`` (``model.onnx``, ``tokenizer.json``, ``chunks.json``, ``config.json``: all that serving needs).

    ``speed.json`` says how fast each step's result is on this machine; DVC does not keep it. ``reference`` are the
    student's answers, where they are known.
    """
    out = context.out
    train, unlabelled = context.read("train", "unlabelled")
    texts = (text for split in (train, unlabelled) for batch in split.iter(1000) for text in batch["text"])
    known = commonest(islice(texts, LOOKED_AT), COMMON)
    with tempfile.TemporaryDirectory() as scratch:
        made = out / "model"
        reference = reference or _reference(context, student)
        ladder = compress_student(student, settings, train, known, reference, Path(scratch), made)
    # Names what was timed: DVC may bring back another model beside it.
    write_json(out / "speed.json", {"model_md5": folder_md5(out / "model"), "docs_per_s": ladder.docs_per_s})
    return {"kept": ladder.last, "steps": ladder.numbers}


def _reference(context: Context, student: Student) -> Reference:
    # The texts that the student did not learn from come first.
    return Reference.of(student, *context.read("validation", "heldout", "unlabelled", "train"))


if __name__ == "__main__":
    command("compress", compress)
