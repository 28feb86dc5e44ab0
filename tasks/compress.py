"""Stage ``compress``: export the trained student as small files with the same predictions."""

import json
import logging
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from stillhouse.compression.parity import Reference
from stillhouse.compression.steps import CompressionSteps, compress_student
from stillhouse.compression.texts import CompressionTexts
from stillhouse.distillation.answers import HELDOUT
from stillhouse.errors import StillhouseError
from stillhouse.evaluation.choice import select_network
from stillhouse.files import write_json
from stillhouse.models.students.student import Student, load_student
from stillhouse.params import Compress
from stillhouse.params.sizes import SIZES
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.stage import Metrics, command
from stillhouse.provenance import folder_md5

logger = logging.getLogger(__name__)


def compress(context: Context) -> Metrics:
    """Compress the student, or the control if it is better on validation. Writes ``model/`` and ``speed.json``.

    ``smaller/`` has the students of the sizes that were too small, compressed for the comparison.
    """
    size = json.loads(context.path("student/metrics.json").read_text(encoding="utf-8"))["size"]
    texts = _texts(context)
    _compress_smaller(context, texts)
    settings = context.of_size(size).compress
    student, control = (load_student(context.path(f"{name}/model")) for name in ("student", "control"))
    answers, plain = _reference(context, student), _reference(context, control)
    labelled = slice(len(answers.labels))
    source = select_network(answers.labels, answers.probabilities[labelled], plain.probabilities[labelled])
    if source == "student":
        return {"source": source, **_write_model(context, student, settings, texts, answers)}
    logger.warning("the control is significantly better than the student on validation: the control is compressed")
    return {"source": source, **_write_model(context, control, context.params.compress, texts, plain)}


def _compress_smaller(context: Context, texts: CompressionTexts) -> None:
    smaller, compressed, names = context.path("student/smaller"), context.out / "smaller", []
    compressed.mkdir()
    for name in json.loads((smaller / SIZES).read_text(encoding="utf-8")):
        student, settings = load_student(smaller / name), context.of_size(name).compress
        try:
            _compress(student, settings, texts, _reference(context, student), compressed / name)
            names.append(name)
        except StillhouseError as error:  # this student is a row of the report alone
            logger.warning("size %s is not in the report: %s", name, error)
    write_json(compressed / SIZES, names)


def write_compressed(context: Context, student: Student, settings: Compress) -> Metrics:
    """Compress ``student`` and write ``model/`` and ``speed.json``.

    ``model/`` has all files for serving (:func:`~stillhouse.compression.steps.compress_student`).
    ``speed.json`` has the speed after each step on this machine; DVC does not store it.

    Args:
        context: the stage's context.
        student: the model to compress.
        settings: the section ``compress`` of ``params.yaml``.

    Returns:
        The last step, and the numbers of each step.
    """
    texts = _texts(context)
    return _write_model(context, student, settings, texts, _reference(context, student))


def _texts(context: Context) -> CompressionTexts:
    soft = np.load(context.path("soft_labels/answers") / HELDOUT)
    train, unlabelled, validation, heldout = context.read("train", "unlabelled", "validation", "heldout")
    return CompressionTexts.of(train, unlabelled, validation, heldout, soft)


def _write_model(
    context: Context, student: Student, settings: Compress, texts: CompressionTexts, reference: Reference
) -> Metrics:
    folder = context.out / "model"
    steps = _compress(student, settings, texts, reference, folder)
    # The digest names the model that was timed: DVC may later restore another model next to this file.
    write_json(context.out / "speed.json", {"model_md5": folder_md5(folder), "docs_per_s": steps.docs_per_s})
    calibration = {"calibration": asdict(steps.calibration)} if steps.calibration else {}
    return {"last_step": steps.last, "temperature": steps.temperature, **calibration, "steps": steps.numbers}


def _compress(
    student: Student, settings: Compress, texts: CompressionTexts, reference: Reference, folder: Path
) -> CompressionSteps:
    with tempfile.TemporaryDirectory() as scratch:
        return compress_student(student, settings, texts, reference, Path(scratch), folder)


def _reference(context: Context, student: Student) -> Reference:
    # Texts that the student was not trained on come first.
    return Reference.of(student, *context.read("validation", "heldout", "unlabelled", "train"))


if __name__ == "__main__":
    command("compress", compress)
