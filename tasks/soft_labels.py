"""Stage ``soft_labels``: label the transfer set once with the teacher and the second teachers.

Students are trained on these stored soft labels and never run the teacher.
"""

import logging

import numpy as np
from datasets import Dataset

from stillhouse.data.splits import labels_of, read_split
from stillhouse.data.transfer import write_transfer
from stillhouse.data.vocabulary import load_vocabulary
from stillhouse.distillation.answers import HELDOUT, VALIDATION
from stillhouse.distillation.log import NoLog
from stillhouse.distillation.scratch import mark_finished
from stillhouse.distillation.second import add_second_teachers
from stillhouse.distillation.softlabels import ProbeInputs, write_soft_labels
from stillhouse.distillation.student import TrainingData, fit_student, training_seed
from stillhouse.distillation.vectors import Vectors
from stillhouse.models.batching import SIZES
from stillhouse.models.device import choose_device, use_bf16
from stillhouse.models.inherit import student_start
from stillhouse.models.students.student import Student, load_student
from stillhouse.models.teacher import Teacher, load_teacher
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.stage import Metrics, command
from stillhouse.task import TASK

logger = logging.getLogger(__name__)


def soft_labels(context: Context) -> Metrics:
    """Write ``answers/``: the texts of the transfer set that are not in ``train.arrow``, and all soft labels."""
    params, settings, device = context.params, context.params.soft_labels, choose_device(context.device)
    train, unlabelled, validation, heldout = context.read("train", "unlabelled", "validation", "heldout")
    context.run.dataset(context.path("train"), "transfer set")
    answers = context.out / "answers"
    answers.mkdir()
    copies = settings.augment.copies(len(train), len(unlabelled))
    augment = settings.augment.model_copy(update={"folds": copies})
    written = write_transfer(train, unlabelled, augment, params.seed, answers / "extra.arrow")
    extra = read_split(answers / "extra.arrow")
    teacher = load_teacher(context.path("teacher/model"), params.teacher.max_length, device)
    bf16 = use_bf16(params.teacher.bf16, device)
    batch_size = settings.batch_size
    if batch_size == "auto":
        batch_size = teacher.fastest_batch(train[: max(SIZES)]["text"], bf16)
        logger.info("batch size of the teacher: %d texts", batch_size)
    vectors = Vectors.load(context.path("teacher/vectors"))
    known = ProbeInputs(vectors.inputs, vectors.input_rows(len(train), copies * len(train), len(unlabelled)))
    logits = write_soft_labels(teacher, [train, extra], batch_size, bf16, settings.relation_words, answers, known)
    train_accuracy = TASK.accuracy(labels_of(train), TASK.decision(logits[: len(train)]))
    # A network has memorised its training labels, so second teachers help only if there are other texts.
    seconds = _second_teachers(context, settings.second_teachers if written > len(train) else 0)
    same = add_second_teachers(logits, seconds, settings.second_weight, [train, extra])
    for file, texts in ((VALIDATION, validation), (HELDOUT, heldout)):
        np.save(answers / file, _logits(teacher, texts, batch_size, bf16, seconds, settings.second_weight))
    mark_finished("soft_labels")
    return {
        "texts": len(train),
        "extra_texts": written,
        "train_accuracy": train_accuracy,
        "second_teachers": len(seconds),
        "second_agreement": same,
        "mean_confidence": float(TASK.confidence(TASK.probabilities(logits)).mean()),
    }


def _second_teachers(context: Context, count: int) -> list[Student]:
    """Return ``count`` networks: the control, and others of its kind with other seeds that start from the teacher."""
    if count == 0:
        return []
    params = context.params
    control, teacher = context.path("control/model"), context.path("teacher/model")
    result = [load_student(control)]
    data = TrainingData(context.path("train"), context.path("validation"))
    tokenizer = load_vocabulary(control / "tokenizer.json", params.student.vocabulary.size)
    start = student_start(params.student.start, teacher, tokenizer) if count > 1 else None
    for number in range(1, count):
        logger.info("second teacher %d of %d", number + 1, count)
        fitted = fit_student(
            f"soft_labels-second{number}",
            params,
            data,
            tokenizer,
            device=context.device,
            log=NoLog(),
            start=start,
            seed=training_seed(params) + number,
        )
        result.append(fitted.student)
    return result


def _logits(
    teacher: Teacher, texts: Dataset, batch_size: int, bf16: bool, seconds: list[Student], weight: float
) -> np.ndarray:
    if not len(texts):
        return np.zeros((0, teacher.model.config.num_labels), np.float32)
    logits = teacher.logits(list(texts["text"]), batch_size, bf16)
    add_second_teachers(logits, seconds, weight, [texts])
    return logits


if __name__ == "__main__":
    command("soft_labels", soft_labels)
