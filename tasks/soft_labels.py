"""Stage ``soft_labels``: label the transfer set once with the teacher, or several, and the second teachers.

Students are trained on these stored soft labels and never run the teacher.
"""

import json
import logging
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from datasets import Dataset, concatenate_datasets

from stillhouse.cluster import Cluster, chosen_cluster
from stillhouse.data.splits import Split, label_names, labels_of, read_split, write_split
from stillhouse.data.transfer import write_transfer
from stillhouse.data.vocabulary import load_vocabulary
from stillhouse.distillation.answers import HELDOUT, VALIDATION
from stillhouse.distillation.log import NoLog
from stillhouse.distillation.machine import machine_evidence
from stillhouse.distillation.scratch import mark_finished
from stillhouse.distillation.second import add_second_teachers
from stillhouse.distillation.softlabels import ProbeInputs, write_soft_labels
from stillhouse.distillation.student import TrainingData, fit_student, training_seed
from stillhouse.distillation.vectors import Vectors
from stillhouse.labelling.answers import Answered, not_answered, read_machine_labels
from stillhouse.models.batching import SIZES
from stillhouse.models.device import choose_device, use_bf16
from stillhouse.models.inherit import output_vectors, pieces_of, student_start
from stillhouse.models.members import Member, pool_logits, read_members
from stillhouse.models.students.student import Student, load_student
from stillhouse.models.teacher import Teacher, load_teacher
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.stage import Metrics, command
from stillhouse.task import TASK

logger = logging.getLogger(__name__)

BLOCK = 20_000  # texts whose tokens or probabilities are in memory at once


def soft_labels(context: Context) -> Metrics:
    """Write ``answers/``: the texts of the transfer set that are not in ``train.arrow``, and all soft labels.

    ``words.npy`` has the teacher's vector of each word piece, for the students that start from them. ``test.npy`` has
    the teacher's logits of the test texts, which decide about a student's size. No student learns from them.
    """
    params, settings = context.params, context.params.soft_labels
    cluster = chosen_cluster(params.scale, params.device)
    train, unlabelled, validation, heldout, test = context.read("train", "unlabelled", "validation", "heldout", "test")
    context.run.dataset(context.path("train"), "transfer set")
    answers = context.out / "answers"
    answers.mkdir()
    copies = settings.augment.copies(len(train), len(unlabelled))
    augment = settings.augment.model_copy(update={"folds": copies})
    written = write_transfer(train, unlabelled, augment, params.seed, answers / "extra.arrow")
    extra = read_split(answers / "extra.arrow")
    teachers = [one for one in read_members(context.path("teacher/others")) if one.number == 1 or one.weight]
    sets = [[train, extra], [validation], [heldout], [test]]
    rows = (len(train), copies * len(train), len(unlabelled))
    with TemporaryDirectory(dir=context.out) as scratch:
        folders = [answers, *(Path(scratch, str(one.number)) for one in teachers[1:])]
        pairs = zip(teachers, folders, strict=True)
        labelled = [_label(context, one, sets, rows, folder, cluster) for one, folder in pairs]
        logits, *unseen = labelled[0]
        for first, *others in zip(*labelled, strict=True):
            pool_logits(first, others, [one.weight for one in teachers])
    np.save(context.out / "test.npy", unseen[2])
    train_accuracy = TASK.accuracy(labels_of(train), TASK.decision(logits[: len(train)]))
    # A network has memorised its training labels, so second teachers help only where most texts are others.
    if settings.second_teachers and written <= len(train):
        logger.info("no second teachers: %d further texts are not more than the %d training texts", written, len(train))
    added = _machine_evidence(context, labels_of(train))
    places = len(logits) - len(unlabelled) + added.rows  # of the machine's texts in the transfer set
    evidence = np.log(added.probabilities)
    learnt = Split(unlabelled, added.rows, TASK.decision(logits[places] + evidence))
    count = settings.second_teachers if written > len(train) else 0
    with TemporaryDirectory(dir=context.out) as scratch:
        seconds = _second_teachers(context, count, learnt, Path(scratch))
    same = add_second_teachers(logits, seconds, settings.second_weight, [train, extra])
    logits[places] += evidence
    for file, texts, own in ((VALIDATION, validation, unseen[0]), (HELDOUT, heldout, unseen[1])):
        add_second_teachers(own, seconds, settings.second_weight, [texts])
        np.save(answers / file, own)
    confidence = [
        TASK.confidence(TASK.probabilities(logits[start : start + BLOCK])) for start in range(0, len(logits), BLOCK)
    ]
    mark_finished("soft_labels")
    return {
        "texts": len(train),
        "extra_texts": written,
        "machine_labels": len(added),
        "train_accuracy": train_accuracy,
        "second_teachers": len(seconds),
        "second_agreement": same,
        "mean_confidence": float(np.concatenate(confidence).mean()),
    }


def _label(
    context: Context,
    teacher: Member,
    sets: list[list[Dataset]],
    rows: tuple[int, int, int],
    folder: Path,
    cluster: Cluster | None,
) -> list[np.ndarray]:
    """Label the transfer set, the validation texts, the held-out texts and the test texts with one teacher.

    Args:
        context: the context of the stage.
        teacher: the teacher. The first one also gives features, relations and the vectors of word pieces.
        sets: the transfer set (training and further texts), then texts that no student learns from.
        rows: number of training texts, altered copies and unlabelled texts in the transfer set.
        folder: the soft labels of the transfer set are written there.
        cluster: labels the transfer set; None: this machine does.

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
    logits = write_soft_labels(
        loaded,
        sets[0],
        batch_size,
        bf16,
        words,
        folder,
        known,
        processes=params.flow.processes,
        source=place / "model",
        cluster=cluster,
    )
    if teacher.number == 1:
        tokenizer = load_vocabulary(context.path("control/model") / "tokenizer.json")
        np.save(context.out / "words.npy", output_vectors(loaded, pieces_of(tokenizer)).numpy())
    return [logits, *(_logits(loaded, texts, batch_size, bf16) for [texts] in sets[1:])]


def _machine_evidence(context: Context, labels: np.ndarray) -> Answered:
    """Return the texts without a label that a machine labelled, and how likely its answer is for each class.

    There are none if the teacher's probe does not use these labels, or if the teacher was fine-tuned on them: the
    evidence would count twice.
    """
    machine = read_machine_labels(context.path("label/answers"))
    teacher = json.loads(context.path("teacher/metrics.json").read_text(encoding="utf-8"))
    weight = teacher.get("machine_weight", 0.0)  # a fine-tuned teacher has none
    if not weight:
        return not_answered(machine.unlabelled.probabilities.shape[1])
    return Answered(machine.unlabelled.rows, machine_evidence(machine, labels, weight))


def _second_teachers(context: Context, count: int, added: Split, scratch: Path) -> list[Student]:
    """Return ``count`` networks like the student, trained on hard labels, with different seeds.

    The first one starts at random and the others as a student does. Without texts in ``added`` the first one is the
    control; else all are trained on these texts, too.
    """
    params, control, train = context.params, context.path("control/model"), context.path("train")
    result = [load_student(control)][:count]
    if len(added.rows):
        train, result = _with_added(read_split(train), added, scratch / "train.arrow"), []
    data = TrainingData(train, context.path("validation"))
    tokenizer = load_vocabulary(control / "tokenizer.json", params.student.vocabulary.pieces)
    start = None
    if count > 1:
        words = context.out / "words.npy"
        start = student_start(params.student.start, context.path("teacher/model"), tokenizer, words)
    for number in range(len(result), count):
        logger.info("second teacher %d of %d", number + 1, count)
        fitted = fit_student(
            f"soft_labels-second{number}",
            params,
            data,
            tokenizer,
            device=context.device,
            log=NoLog(),
            start=start if number else None,
            seed=training_seed(params) + number,
            processes=params.flow.processes,
        )
        result.append(fitted.student)
    return result


def _with_added(train: Dataset, added: Split, file: Path) -> Path:
    """Write the texts of ``train`` and ``added`` with their labels, and return the file."""
    texts = [train.select_columns("text"), added.dataset.select(added.rows).select_columns("text")]
    labels = np.concatenate([labels_of(train), added.labels])
    write_split(Split(concatenate_datasets(texts), np.arange(len(labels)), labels), label_names(train), file)
    return file


def _logits(teacher: Teacher, texts: Dataset, batch_size: int, bf16: bool) -> np.ndarray:
    if not len(texts):
        return np.zeros((0, teacher.model.config.num_labels), np.float32)
    return np.concatenate([teacher.logits(batch["text"], batch_size, bf16) for batch in texts.iter(BLOCK)])


if __name__ == "__main__":
    command("soft_labels", soft_labels)
