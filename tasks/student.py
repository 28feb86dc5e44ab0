"""Stage ``student``: train the small network on the soft labels, with ``student.size: auto`` the first that passes."""

import logging
import shutil
from typing import TYPE_CHECKING

import numpy as np

from stillhouse.data.splits import label_names, read_split
from stillhouse.data.vocabulary import load_vocabulary
from stillhouse.distillation.cost import training_seconds
from stillhouse.distillation.log import Log, NamedLog
from stillhouse.distillation.scratch import mark_finished
from stillhouse.distillation.student import TrainingData, fit_student
from stillhouse.errors import BadInput
from stillhouse.files import write_csv, write_json
from stillhouse.models.device import choose_device
from stillhouse.models.inherit import student_start, with_teacher_shape
from stillhouse.models.members import read_members
from stillhouse.models.students.student import Student, save_student
from stillhouse.models.students.whole import copy_whole, load_whole
from stillhouse.params import Params
from stillhouse.params.naming import AUTO
from stillhouse.params.sizes import SIZES
from stillhouse.params.student import WHOLE
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.stage import Metrics, command
from stillhouse.task import TASK

if TYPE_CHECKING:
    from stillhouse.evaluation.climb import Examination

logger = logging.getLogger(__name__)

SAMPLE = 512  # texts that the estimate of a training reads


def student(context: Context) -> Metrics:
    """Write ``model/``, ``training.csv``, and ``smaller/``: the students of the sizes that were too small.

    ``smaller/sizes.json`` has their names.
    """
    (context.out / "smaller").mkdir()
    size = context.params.student.size
    numbers = _climb(context) if size == AUTO else {"size": size, **_train(context, size)}
    tried = list(numbers.get("sizes", [size]))
    write_json(context.out / "smaller" / SIZES, tried[:-1])
    for name in tried:
        mark_finished(_checkpoints(context, name))
    return numbers


def _climb(context: Context) -> Metrics:
    """Train one size after the other, up to the first that passes. The others are moved to ``smaller/``."""
    sizes, examination, tried, found = list(context.params.sizes), _examination(context), {}, {}
    for size in sizes:
        logger.info("size %s: %s", size, _cost(context, size))
        try:
            found[size] = _train(context, size, NamedLog(context.run, size))
        except BadInput as error:  # a size may need another kind of teacher
            logger.warning("size %s is left out: %s", size, error)
            continue
        verdict = examination.judge(context.out / "model")
        tried[size] = {"passed": int(verdict.passed), "parameters": found[size]["parameters"]}
        if verdict.passed:
            break
        failed = [reason for reason in verdict.reasons if reason.startswith("FAILED")]
        logger.info("size %s is too small: %s", size, "; ".join(failed))
        shutil.move(context.out / "model", context.out / "smaller" / size)
    if not tried:
        raise BadInput("student.size: auto found no size that fits the teacher; the log has the reasons")
    last = list(tried)[-1]
    if not tried[last]["passed"]:
        logger.warning("no size passes; the student is the largest, %s", last)
        shutil.move(context.out / "smaller" / last, context.out / "model")
    else:
        logger.info("size %s passes", last)
        if last != sizes[-1]:
            following = sizes[sizes.index(last) + 1]
            logger.info("not trained: size %s, %s", following, _cost(context, following))
    return {"size": last, **found[last], "sizes": tried}


def _checkpoints(context: Context, size: str) -> str:
    return f"{context.stage.address}-{size}"


def _train(context: Context, size: str, log: Log | None = None) -> Metrics:
    params = context.of_size(size)
    if params.student.network.architecture == WHOLE:
        distilled, numbers = _whole_teacher(context, params)
    else:
        distilled, numbers = distil(context, params, _checkpoints(context, size), log)
    save_student(distilled, context.out / "model")
    return {"parameters": sum(p.numel() for p in distilled.network.parameters()), **numbers}


def _whole_teacher(context: Context, params: Params) -> tuple[Student, Metrics]:
    """Copy the teacher into ``model/``, and return it as a student; there are no epochs."""
    if len(read_members(context.path("teacher/others"))) > 1:
        raise BadInput("student.network.architecture: teacher needs one teacher; there are several (teacher.others)")
    teacher, settings = context.path("teacher/model"), params.student.network
    settings = settings.model_copy(update={"wide": settings.wide.model_copy(update={"embedding": 0})})
    network, tokenizer = load_whole(teacher, settings.max_length)
    copy_whole(teacher, context.out / "model")
    (context.out / "training.csv").write_text("epoch,loss\n", encoding="utf-8")
    [train] = context.read("train")
    return Student(network, tokenizer, label_names(train), settings), {}


def _cost(context: Context, size: str) -> str:
    """Return the estimated duration of a training on this machine, and the number of parameters, for the log."""
    if context.of_size(size).student.network.architecture == WHOLE:
        return "the teacher itself, no training"
    settings = with_teacher_shape(context.of_size(size).student, context.path("teacher/model"))
    [train] = context.read("train")
    extra = read_split(context.path("soft_labels/answers") / "extra.arrow")
    tokenizer = load_vocabulary(context.path("control/model") / "tokenizer.json", settings.vocabulary.pieces)
    sample = [text for some in (extra, train) for text in some.select(range(min(SAMPLE, len(some))))["text"]]
    count, device = len(train) + len(extra), choose_device(context.device)
    try:
        seconds, parameters = training_seconds(settings, tokenizer, sample[:SAMPLE], count, device)
    except RuntimeError:  # out of memory, which the training itself explains
        return "the cost is unknown"
    return f"{parameters / 1e6:.1f} million parameters, about {seconds:,.0f} s of training"


def _examination(context: Context) -> "Examination":
    from stillhouse.evaluation.climb import Examination  # loads scikit-learn, which takes a second

    train, test = context.read("train", "test")
    teacher = TASK.probabilities(np.load(context.path("soft_labels/test.npy")))
    return Examination.of(train, test, teacher, context.path("control/model"), context.params)


def distil(context: Context, params: Params, name: str, log: Log | None = None) -> tuple[Student, Metrics]:
    """Train the student that ``params`` describes, and write ``training.csv`` with the numbers of every epoch.

    Args:
        context: of the stage.
        params: all parameters that the training reads.
        name: of the training's checkpoints.
        log: gets the numbers of every epoch and step; None: the run of the stage.

    Returns:
        The student, and the numbers of the selected epoch.
    """
    context.run.dataset(context.path("train"), "train")
    settings = with_teacher_shape(params.student, context.path("teacher/model"))
    params = params.model_copy(update={"student": settings})
    control = context.path("control/model")
    data = TrainingData(
        context.path("train"),
        context.path("validation"),
        context.path("heldout"),
        context.path("soft_labels/answers"),
        control,
    )
    tokenizer = load_vocabulary(control / "tokenizer.json", params.student.vocabulary.pieces)
    words = context.path("soft_labels/words.npy")
    start = student_start(params.student.start, context.path("teacher/model"), tokenizer, words)
    fitted = fit_student(
        name,
        params,
        data,
        tokenizer,
        device=context.device,
        log=log or context.run,
        start=start,
        processes=params.flow.processes,
    )
    write_csv(context.out / "training.csv", fitted.history)
    return fitted.student, dict(fitted.selected)


if __name__ == "__main__":
    command("student", student)
