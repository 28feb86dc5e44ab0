"""Stage ``teacher``: fine-tune the large model (optionally regularised by a small one), or train a linear probe.

A finished classifier is used as it is. Further teachers (``teacher.others``) are made in the same way.
"""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from stillhouse.data.language import warn_about_language
from stillhouse.data.splits import labels_of
from stillhouse.distillation.hints import read_hints
from stillhouse.distillation.job import TeacherJob, Texts
from stillhouse.distillation.log import NoLog
from stillhouse.distillation.scratch import clear_results, mark_finished, stored_result
from stillhouse.distillation.weights import choose_weights
from stillhouse.files import write_json
from stillhouse.labelling.answers import read_machine_labels
from stillhouse.models.device import choose_device
from stillhouse.models.members import Member, members, write_members
from stillhouse.params import OneTeacher
from stillhouse.pipeline.artefacts import is_replaced
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.stage import Metrics, command

logger = logging.getLogger(__name__)


def teacher(context: Context) -> Metrics:
    """Write ``model/`` (safetensors and tokenizer), ``vectors/``, ``training.csv`` and ``others/``.

    ``others/`` has ``teachers.json``, and a folder with the same three for each further teacher.
    """
    names = ("train", "validation", "unlabelled")
    for name in names[:2]:
        context.run.dataset(context.path(name), name)
    train, validation, unlabelled = context.read(*names)
    hints = context.path("control/hints")
    answers = context.path("label/answers")
    texts = Texts(
        train,
        validation,
        unlabelled,
        read_hints(hints),
        machine=read_machine_labels(answers),
        machine_weight=context.params.label.weight,
        descriptions=context.params.data.descriptions,
        files={name: context.path(name) for name in names} | {"hints": hints, "answers": answers},
    )
    each = context.params.teacher.each
    if context.params.label.source == "none" and is_replaced(context.path("label/splits"), "train"):
        logger.info("no co-training: the stage label did one round, and more made labels of descriptions worse")
        each = [settings.model_copy(update={"cotraining": 0}) for settings in each]
    jobs = [_job(context, settings, number, texts) for number, settings in enumerate(each, 1)]
    (context.out / "others").mkdir()
    if len(jobs) == 1:
        clear_results(keep=[])
        numbers: dict[str, Any] = jobs[0].train(context.out)
        write_members(_members(jobs, [1.0]), context.out / "others")
    else:
        numbers = _several(context, jobs)
    for job in jobs:
        mark_finished(job.name)
        mark_finished(f"{job.name}_parts")  # checkpoints of cross-validation
    return numbers


def _job(context: Context, settings: OneTeacher, number: int, texts: Texts) -> TeacherJob:
    warn_about_language(settings, texts.train)
    job = TeacherJob(
        name="teacher" if number == 1 else f"teacher{number}",
        settings=settings,
        texts=texts,
        device=choose_device(context.device),
        seed=context.params.seed if settings.seed is None else settings.seed,
        log=context.run if number == 1 else NoLog(),
        processes=context.params.flow.processes,
    )
    return job.with_length() if settings.max_length == "auto" else job


def _several(context: Context, jobs: list[TeacherJob]) -> Metrics:
    """Make each teacher, or take its stored result, and weight them. Returns the metrics of all."""
    results = [_stored(job) for job in jobs]
    clear_results(keep=results)
    weights = context.params.teacher.weights
    if weights == "auto":
        predicted = [_unseen(job, result) for job, result in zip(jobs, results, strict=True)]
        weights = choose_weights(predicted, labels_of(jobs[0].judged()))
    found = _members(jobs, [weight / sum(weights) for weight in weights])
    others = context.out / "others"
    numbers = {}
    for member, result in zip(found, results, strict=True):
        place = member.folder(context.out, others)
        for name in ("model", "vectors"):
            shutil.copytree(result / name, place / name)
        shutil.copy(result / "training.csv", place)
        own = json.loads((result / "numbers.json").read_text(encoding="utf-8"))
        numbers[member.name] = {**own, "weight": member.weight}
        logger.info("%s (%s): weight %.3f", member.name, member.model, member.weight)
    write_members(found, others)
    return {**numbers[found[0].name], "teachers": numbers}


def _stored(job: TeacherJob) -> Path:
    return stored_result(
        job.identity(job.load()), lambda folder: write_json(folder / "numbers.json", job.train(folder))
    )


def _unseen(job: TeacherJob, result: Path) -> np.ndarray:
    """Return :meth:`TeacherJob.unseen`, stored beside the result."""
    file = result.with_name("unseen.npy")
    if not file.exists():
        partial = file.with_name("unseen.partial.npy")
        np.save(partial, job.unseen(result))
        partial.replace(file)
    found: np.ndarray = np.load(file)
    return found


def _members(jobs: list[TeacherJob], weights: list[float]) -> list[Member]:
    settings = [job.settings for job in jobs]
    return members([one.model for one in settings], [one.tokens for one in settings], weights)


if __name__ == "__main__":
    command("teacher", teacher)
