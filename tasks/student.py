"""Stage ``student``: train the small network on the soft labels, with ``student.size: auto`` the first that passes."""

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from stillhouse.data.splits import label_names, labels_of
from stillhouse.data.vocabulary import load_vocabulary
from stillhouse.distillation.scratch import mark_finished
from stillhouse.distillation.student import TrainingData, fit_student
from stillhouse.evaluation.baseline import TfidfSvm
from stillhouse.evaluation.candidates import student_candidate
from stillhouse.evaluation.cases import read_cases
from stillhouse.evaluation.climb import Examination
from stillhouse.evaluation.gate import FREE
from stillhouse.evaluation.reference import reference
from stillhouse.files import write_csv
from stillhouse.models.inherit import student_start
from stillhouse.models.students.student import Student, save_student
from stillhouse.params import Params
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.stage import Metrics, command
from stillhouse.task import TASK

logger = logging.getLogger(__name__)

AUTO = "auto"


def student(context: Context) -> Metrics:
    """Write ``model/``, ``training.csv``, and ``smaller/``: the students of the sizes that were too small."""
    (context.out / "smaller").mkdir()
    size = context.params.student.size
    if size != AUTO:
        return {"size": size, **_train(context, size)}
    sizes, examination, tried = list(context.params.sizes), _examination(context), {}
    for number, size in enumerate(sizes, start=1):
        start = time.perf_counter()
        numbers = _train(context, size)
        seconds = time.perf_counter() - start
        verdict = examination.judge(_predict(context))
        failed = [reason for reason in verdict.reasons if reason.startswith("FAILED")]
        logger.info("size %s: %.0f s, %s", size, seconds, "passes" if verdict.passed else "; ".join(failed))
        tried[size] = {"passed": int(verdict.passed), "parameters": numbers["parameters"]}
        if verdict.passed or number == len(sizes):
            break
        shutil.move(context.out / "model", context.out / "smaller" / size)
    return {"size": size, **numbers, "sizes": tried}


def _train(context: Context, size: str) -> Metrics:
    distilled, numbers = distil(context, context.of_size(size), f"{context.stage.address}-{size}")
    save_student(distilled, context.out / "model")
    mark_finished(f"{context.stage.address}-{size}")
    return {"parameters": sum(p.numel() for p in distilled.network.parameters()), **numbers}


def _predict(context: Context) -> Callable[[Sequence[str]], np.ndarray]:
    """Return the prediction of the student in ``model/``."""
    return student_candidate("student", context.out / "model", context.params.evaluate.batch_size).predict


def _examination(context: Context) -> Examination:
    """Return what each size is judged by: the gate's conditions on the test set."""
    params, settings = context.params, context.params.evaluate
    train, test = context.read("train", "test")
    texts, names, seen = list(test["text"]), label_names(test), labels_of(train)
    teacher = TASK.probabilities(np.load(context.path("soft_labels/test.npy")))
    labels, of_teacher = reference(test, TASK.decision(teacher))
    control = student_candidate("control", context.path("control/model"), settings.batch_size)
    svm = TfidfSvm(params.seed).fit(list(train["text"]), seen)
    scores = dict(zip(FREE, (control.predict(texts), svm.predict(texts)), strict=True))
    return Examination(
        texts=texts,
        labels=labels,
        names=names,
        of_teacher=of_teacher,
        scores={"teacher": teacher} | scores,
        training=np.bincount(seen, minlength=len(label_names(train))).tolist(),
        cases=read_cases(Path(settings.cases), names),
        gate=params.register_,
        resamples=settings.bootstrap,
        seed=params.seed,
    )


def distil(context: Context, params: Params, name: str) -> tuple[Student, Metrics]:
    """Train the student that ``params`` describes, and write ``training.csv`` with the numbers of every epoch.

    Args:
        context: of the stage.
        params: all parameters that the training reads.
        name: of the training's checkpoints.

    Returns:
        The student, and the numbers of the selected epoch.
    """
    context.run.dataset(context.path("train"), "train")
    control = context.path("control/model")
    data = TrainingData(
        context.path("train"),
        context.path("validation"),
        context.path("heldout"),
        context.path("soft_labels/answers"),
        control,
    )
    tokenizer = load_vocabulary(control / "tokenizer.json", params.student.vocabulary.size)
    words = context.path("soft_labels/words.npy")
    start = student_start(params.student.start, context.path("teacher/model"), tokenizer, words)
    fitted = fit_student(name, params, data, tokenizer, device=context.device, log=context.run, start=start)
    write_csv(context.out / "training.csv", fitted.history)
    return fitted.student, dict(fitted.selected)


if __name__ == "__main__":
    command("student", student)
