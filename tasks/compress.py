"""Stage ``compress``: export the trained student as small files with the same predictions."""

import json
import logging
import tempfile
from itertools import islice
from pathlib import Path

import numpy as np
from datasets import concatenate_datasets

from stillhouse.compression.early_exit import ExitTexts
from stillhouse.compression.parity import Reference
from stillhouse.compression.steps import compress_student
from stillhouse.errors import StillhouseError
from stillhouse.evaluation.choice import select_network
from stillhouse.files import write_json
from stillhouse.models.students.student import Student, load_student
from stillhouse.params import Compress
from stillhouse.params.sizes import SIZES
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.stage import Metrics, command
from stillhouse.provenance import folder_md5
from stillhouse.serving.chunks import commonest

logger = logging.getLogger(__name__)

COMMON = 8_000  # frequent chunks of text that are stored with their word pieces: about 0.1 MB
EXIT_TEXTS = 3_000  # texts that the early exit learns from, and in each group that it is checked on
UNSEEN = ("validation", "heldout")  # texts that the student was not trained on
COUNTED_TEXTS = 20_000  # texts in which chunks are counted


def compress(context: Context) -> Metrics:
    """Compress the student, or the control if it is better on validation. Writes ``model/`` and ``speed.json``.

    ``smaller/`` has the students of the sizes that were too small, compressed for the comparison.
    """
    size = json.loads(context.path("student/metrics.json").read_text(encoding="utf-8"))["size"]
    smaller, compressed = context.path("student/smaller"), context.out / "smaller"
    compressed.mkdir()
    names = []
    for name in json.loads((smaller / SIZES).read_text(encoding="utf-8")):
        try:
            write_compressed(
                context, load_student(smaller / name), context.of_size(name).compress, folder=compressed / name
            )
            names.append(name)
        except StillhouseError as error:  # this student is a row of the report alone
            logger.warning("size %s is not in the report: %s", name, error)
    write_json(compressed / SIZES, names)
    settings = context.of_size(size).compress
    student, control = (load_student(context.path(f"{name}/model")) for name in ("student", "control"))
    answers, plain = _reference(context, student), _reference(context, control)
    labelled = slice(len(answers.labels))
    source = select_network(answers.labels, answers.probabilities[labelled], plain.probabilities[labelled])
    if source == "student":
        return {"source": source, **write_compressed(context, student, settings, answers)}
    logger.warning("the control is significantly better than the student on validation: the control is compressed")
    return {"source": source, **write_compressed(context, control, context.params.compress, plain)}


def write_compressed(
    context: Context,
    student: Student,
    settings: Compress,
    reference: Reference | None = None,
    folder: Path | None = None,
) -> Metrics:
    """Compress ``student`` and write ``model/`` and ``speed.json``, or the model alone to ``folder``.

    ``model/`` has all files for serving (:func:`~stillhouse.compression.steps.compress_student`).
    ``speed.json`` has the speed after each step on this machine; DVC does not store it.

    Args:
        context: the stage's context.
        student: the model to compress.
        settings: the section ``compress`` of ``params.yaml``.
        reference: the student's predictions, if they are computed already.
        folder: for the model alone.

    Returns:
        The last step, and the numbers of each step.
    """
    out = context.out
    train, unlabelled = context.read("train", "unlabelled")
    texts = (text for split in (train, unlabelled) for batch in split.iter(1000) for text in batch["text"])
    known = commonest(islice(texts, COUNTED_TEXTS), COMMON)
    with tempfile.TemporaryDirectory() as scratch:
        made = folder or out / "model"
        reference = reference or _reference(context, student)
        exits = _exit_texts(context)
        ladder = compress_student(student, settings, train, known, reference, exits, Path(scratch), made)
    if folder:
        return {"last_step": ladder.last, "steps": ladder.numbers}
    # The digest names the model that was timed: DVC may later restore another model next to this file.
    write_json(out / "speed.json", {"model_md5": folder_md5(out / "model"), "docs_per_s": ladder.docs_per_s})
    return {"last_step": ladder.last, "steps": ladder.numbers}


def _reference(context: Context, student: Student) -> Reference:
    # Texts that the student was not trained on come first.
    return Reference.of(student, *context.read(*UNSEEN, "unlabelled", "train"))


def _exit_texts(context: Context) -> ExitTexts:
    """Return random texts that the student was trained on, for the tables, and as checks such texts and others."""
    validation, heldout, *trained = (one.select_columns("text") for one in context.read(*UNSEEN, "unlabelled", "train"))
    pool = concatenate_datasets(trained)
    rows = np.random.default_rng(0).permutation(len(pool))[: 2 * EXIT_TEXTS]
    half = (len(rows) + 1) // 2
    unseen = concatenate_datasets([validation, heldout])
    checks = [list(unseen["text"][:EXIT_TEXTS]), list(pool.select(rows[half:])["text"])]
    return ExitTexts(list(pool.select(rows[:half])["text"]), checks)


if __name__ == "__main__":
    command("compress", compress)
