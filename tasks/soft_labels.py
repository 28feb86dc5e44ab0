"""Stage ``soft_labels``: label the transfer set once with the teacher, or several, and the second teachers.

Students are trained on these stored soft labels and never run the teacher.
"""

import logging
from pathlib import Path
from tempfile import TemporaryDirectory

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
from stillhouse.models.members import Member, pool_logits, read_members
from stillhouse.models.students.student import Student, load_student
from stillhouse.models.teacher import Teacher, load_teacher
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.stage import Metrics, command
from stillhouse.task import TASK

logger = logging.getLogger(__name__)


def soft_labels(context: Context) -> Metrics:
    """Write ``answers/``: the texts of the transfer set that are not in ``train.arrow``, and all soft labels."""
    params, settings = context.params, context.params.soft_labels
    train, unlabelled, validation, heldout = context.read("train", "unlabelled", "validation", "heldout")
    context.run.dataset(context.path("train"), "transfer set")
    answers = context.out / "answers"
    answers.mkdir()
    copies = settings.augment.copies(len(train), len(unlabelled))
    augment = settings.augment.model_copy(update={"folds": copies})
    written = write_transfer(train, unlabelled, augment, params.seed, answers / "extra.arrow")
    extra = read_split(answers / "extra.arrow")
    teachers = [one for one in read_members(context.path("teacher/others")) if one.number == 1 or one.weight]
    sets = [[train, extra], [validation], [heldout]]
    rows = (len(train), copies * len(train), len(unlabelled))
    with TemporaryDirectory(dir=context.out) as scratch:
        folders = [answers, *(Path(scratch, str(one.number)) for one in teachers[1:])]
        pairs = zip(teachers, folders, strict=True)
        labelled = [_label(context, one, sets, rows, folder) for one, folder in pairs]
        logits, *unseen = labelled[0]
        for first, *others in zip(*labelled, strict=True):
            pool_logits(first, others, [one.weight for one in teachers])
    train_accuracy = TASK.accuracy(labels_of(train), TASK.decision(logits[: len(train)]))
    # A network has memorised its training labels, so second teachers help only where most texts are others.
    if settings.second_teachers and written <= len(train):
        logger.info("no second teachers: %d further texts are not more than the %d training texts", written, len(train))
    seconds = _second_teachers(context, settings.second_teachers if written > len(train) else 0)
    same = add_second_teachers(logits, seconds, settings.second_weight, [train, extra])
    for file, texts, own in ((VALIDATION, validation, unseen[0]), (HELDOUT, heldout, unseen[1])):
        add_second_teachers(own, seconds, settings.second_weight, [texts])
        np.save(answers / file, own)
    mark_finished("soft_labels")
    return {
        "texts": len(train),
        "extra_texts": written,
        "train_accuracy": train_accuracy,
        "second_teachers": len(seconds),
        "second_agreement": same,
        "mean_confidence": float(TASK.confidence(TASK.probabilities(logits)).mean()),
    }


def _label(
    context: Context, teacher: Member, sets: list[list[Dataset]], rows: tuple[int, int, int], folder: Path
) -> list[np.ndarray]:
    """Label the transfer set, the validation texts and the held-out texts with one teacher.

    Args:
        context: the context of the stage.
        teacher: the teacher. The first one also gives features and relations.
        sets: the transfer set (training and further texts), the validation texts, and the held-out texts.
        rows: number of training texts, altered copies and unlabelled texts in the transfer set.
        folder: the soft labels of the transfer set are written there.

    Returns:
        The logits of each of these, float32 of shape ``(texts, classes)``.
    """
    params, settings, device = context.params, context.params.soft_labels, choose_device(context.device)
    place = teacher.folder(context.path("teacher/model").parent, context.path("teacher/others"))
    loaded = load_teacher(place / "model", teacher.max_length, device)
    bf16 = use_bf16(params.teacher.bf16, device)
    batch_size = settings.batch_size
    if batch_size == "auto":
        batch_size = loaded.fastest_batch(sets[0][0][: max(SIZES)]["text"], bf16)
        logger.info("batch size of the %s: %d texts", teacher.name, batch_size)
    vectors = Vectors.load(place / "vectors")
    known = ProbeInputs(vectors.inputs, vectors.input_rows(*rows))
    folder.mkdir(exist_ok=True)
    words = settings.relation_words if teacher.number == 1 else 0
    logits = write_soft_labels(loaded, sets[0], batch_size, bf16, words, folder, known)
    return [logits, *(_logits(loaded, texts, batch_size, bf16) for [texts] in sets[1:])]


def _second_teachers(context: Context, count: int) -> list[Student]:
    """Return the control, and ``count - 1`` networks trained like it, with other seeds and the start of a student."""
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


def _logits(teacher: Teacher, texts: Dataset, batch_size: int, bf16: bool) -> np.ndarray:
    if not len(texts):
        return np.zeros((0, teacher.model.config.num_labels), np.float32)
    return teacher.logits(list(texts["text"]), batch_size, bf16)


if __name__ == "__main__":
    command("soft_labels", soft_labels)
