"""Stage ``evaluate``: compare teacher, control, student, compressed student and TF-IDF + SVM on the test set."""

import json
import logging
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from datasets import Dataset
from numpy.lib.format import open_memmap

from stillhouse.data.splits import label_names, labels_of
from stillhouse.distillation.answers import HELDOUT, VALIDATION
from stillhouse.distillation.vectors import Vectors
from stillhouse.evaluation import candidates, plots, teachers
from stillhouse.evaluation.candidate import Candidate
from stillhouse.evaluation.cascade import Chosen, choose_threshold, measure_cascade
from stillhouse.evaluation.cases import behaviours, passed_share, read_cases
from stillhouse.evaluation.classes import ClassCounts, class_numbers, class_rows, class_warnings, count_classes
from stillhouse.evaluation.confidence import Confidence, certified, write_statements
from stillhouse.evaluation.confusion import confusion
from stillhouse.evaluation.constant import CONSTANT, HELP, ConstantComparison, compare_with_constant, most_frequent
from stillhouse.evaluation.costs import cost_table
from stillhouse.evaluation.evidence import COMPRESSED, TEACHER, read_evidence
from stillhouse.evaluation.examples import select_examples
from stillhouse.evaluation.gate import FREE
from stillhouse.evaluation.machine import WITHOUT, machine_worth
from stillhouse.evaluation.quality import answers_of, differences, quality
from stillhouse.evaluation.reference import NOTE, reference
from stillhouse.evaluation.report import write_report
from stillhouse.evaluation.results import Model, as_dict
from stillhouse.evaluation.speed import BLOCK, measure_speed
from stillhouse.evaluation.steps import step_rows
from stillhouse.files import write_csv, write_json
from stillhouse.labelling.answers import not_answered, read_machine_labels
from stillhouse.labelling.doubtful import doubtful_labels, doubtful_rows, write_doubtful
from stillhouse.models.members import read_members
from stillhouse.pipeline.artefacts import is_replaced
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.stage import Metrics, command
from stillhouse.provenance import file_md5
from stillhouse.serving.classifier import Classifier
from stillhouse.task import TASK
from stillhouse.tracking.data_drift import drift_table

logger = logging.getLogger(__name__)

LANGUAGE_MODEL = "a language model"  # a source of labels, as the stage label names it
PAIRS = [
    *((COMPRESSED, name) for name in FREE),
    (COMPRESSED, TEACHER),
    (COMPRESSED, "student"),
    ("student", "control"),
    (COMPRESSED, CONSTANT),
    (TEACHER, CONSTANT),
]


def evaluate(context: Context) -> Metrics:
    """Write metrics, predictions and plots, and two files about this machine: ``speed.json`` and ``report.html``.

    DVC stores only files that the same inputs reproduce. Timings are not reproducible, so DVC does not store them.
    """
    with TemporaryDirectory(dir=context.out) as scratch:
        return _evaluate(context, Path(scratch))


def _evaluate(context: Context, scratch: Path) -> Metrics:
    params, settings, out = context.params, context.params.evaluate, context.out
    train, test = context.read("train", "test")
    context.run.dataset(context.path("test"), "test")
    texts, names = test["text"], label_names(test)  # the texts stay on disk
    members = read_members(context.path("teacher/others"))
    compared = [
        *teachers.teacher_candidates(
            members,
            context.path("teacher/model").parent,
            context.path("teacher/others"),
            settings.batch_size,
            _probabilities(np.load(context.path("soft_labels/test.npy"), mmap_mode="r"), scratch),
        ),
        candidates.student_candidate("control", context.path("control/model"), settings.batch_size),
        candidates.student_candidate("student", context.path("student/model"), settings.batch_size),
        candidates.compressed_candidate(context.path("compress/model")),
        *candidates.smaller_candidates(context.path("compress/smaller")),
        candidates.svm_candidate(list(train["text"]), labels_of(train), params.seed),
    ]
    without = teachers.without_machine_candidate(
        context.path("teacher/model"), members[0].max_length, settings.batch_size
    )
    compared += [without] if without else []
    served = Classifier.load(context.path("compress/model"))
    shown = behaviours(read_cases(Path(settings.cases), names), served.predict)
    scores, speed = measure_speed(compared, texts, scratch=scratch)
    labels, of_teacher = reference(test, answers_of(scores[TEACHER]))
    if of_teacher:
        logger.warning("%s", NOTE)
    known = len(label_names(train))
    sizes = {c.name: c.bytes for c in compared} | {CONSTANT: 0}
    constant = {CONSTANT: np.full(len(labels), most_frequent(labels, known), np.int32)}
    results = quality(labels, scores | constant, sizes, settings.bootstrap, params.seed, of_teacher)
    others = [one.name for one in members if one.name != TEACHER] + ([WITHOUT] if without else [])
    pairs = PAIRS + [(TEACHER, name) for name in others]
    pairs = [pair for pair in pairs if not (of_teacher and TEACHER in pair)]  # it agrees with itself
    gaps = differences(labels, scores | constant, pairs, settings.bootstrap, params.seed)
    full = {name: Model.of(results[name], measured) for name, measured in speed.items()}
    answers = {name: answers_of(score) for name, score in scores.items()}
    training = np.bincount(labels_of(train), minlength=known)
    classes = {name: count_classes(labels, answers[name], names, training) for name in (COMPRESSED, TEACHER)}
    against = {name: compare_with_constant(counts) for name, counts in classes.items()}
    _warn(classes[COMPRESSED], against)
    write_csv(out / "classes.csv", class_rows(classes[COMPRESSED]))
    rows = "decision of the teacher" if of_teacher else "label"
    numbered = confusion(labels, answers[COMPRESSED], names, out / "confusion.png", rows)
    plots.frontier(full, out / "frontier.png")
    compressed = json.loads(context.path("compress/metrics.json").read_text(encoding="utf-8"))
    statements = certified(scores[COMPRESSED], labels_of(test), answers[TEACHER], params.register_)
    write_statements(statements, out / "certificate.json")
    resampling = (settings.bootstrap, params.seed)
    confidence = Confidence.of(compressed, scores[COMPRESSED], labels_of(test), statements, *resampling)
    if confidence.after is not None:
        plots.calibration(confidence.after, confidence.before, out / "reliability.png")
    # The column label has the reference: the labels, or the teacher's decisions if no text has a label.
    # One column a model. The compressed student's is also `answer`: the plot in dvc.yaml uses this name.
    columns = {"label": labels, "answer": answers[COMPRESSED]} | answers
    write_csv(
        out / "answers.csv",
        ({name: names[column[row]] for name, column in columns.items()} for row in range(len(labels))),
    )
    recorded = {name: json.loads(context.path(f"{name}/metrics.json").read_text()) for name in ("label", "teacher")}
    answered = read_machine_labels(context.path("label/answers"))
    machine = machine_worth(
        answered,
        labels,
        scores,
        recorded["label"],
        recorded["teacher"].get("machine_weight"),
        gaps.get(f"{TEACHER} - {WITHOUT}"),
    )
    chosen, dollars = _chosen(context, served, compared[0]), recorded["label"].get("dollars", 0.0)
    model_answers = answered.test if recorded["label"].get("source") == LANGUAGE_MODEL else not_answered(known)
    cascade = measure_cascade(scores[COMPRESSED], answers[TEACHER], model_answers, labels_of(test), chosen)
    rates = {"student": speed[COMPRESSED].docs_per_s, "teacher": speed[TEACHER].docs_per_s}
    if cascade is not None:
        plots.cascade(cascade, out / "cascade.png")
    checked, doubtful = _doubtful(context, train)
    write_doubtful(out / "doubtful.csv", doubtful)
    metrics = {
        "models": {name: as_dict(quality) for name, quality in results.items()},
        "differences": {name: as_dict(gap, of_teacher) for name, gap in gaps.items()},
        "classes": class_numbers(classes[COMPRESSED]),
        "confidence": confidence.numbers(),
        "cascade": cascade.numbers() if cascade else {},
        "cases": {"count": len(shown), "passed": passed_share(shown)},
        "doubtful_labels": {"checked": checked, "doubtful": len(doubtful)},
        **({"machine": machine} if machine else {}),
    }
    write_json(out / "metrics.json", metrics)
    # The digest names the timed results: DVC may later restore other results next to this file.
    speeds = {name: as_dict(measured) for name, measured in speed.items()}
    write_json(out / "speed.json", {"metrics_md5": file_md5(out / "metrics.json"), "models": speeds})
    write_report(
        out / "report.html",
        evidence=read_evidence(params.model_name, partial(_find, context)),
        models=full | {CONSTANT: results[CONSTANT]},
        versus_constant=against,
        differences=gaps,
        steps=step_rows(*map(context.path, ("compress/metrics.json", "compress/speed.json", "compress/model"))),
        behaviours=shown,
        machine_labels=machine,
        doubtful=doubtful,
        checked=checked,
        drift=drift_table(texts, None if of_teacher else TASK.decode(labels, names), scores[TEACHER]),
        examples=select_examples(texts, labels, scores, names, settings.examples),
        frontier=out / "frontier.png",
        confusion=out / "confusion.png",
        numbered=numbered,
        confidence=confidence,
        reliability=out / "reliability.png",
        cascade=cascade,
        cascade_picture=out / "cascade.png",
        costs=cost_table(cascade, rates, dollars, params.costs) if cascade else [],
    )
    for file in ("report.html", "frontier.png", "confusion.png", "reliability.png", "cascade.png", "speed.json"):
        if (out / file).exists():  # there are no reliability and no cascade without labels
            context.run.artifact(out / file)
    context.run.metrics({"speed": speeds})
    return metrics


def _probabilities(logits: np.ndarray, scratch: Path) -> np.ndarray:
    """Return the probabilities of the teacher in a memory-mapped file."""
    if not len(logits):
        return TASK.probabilities(logits)
    result = open_memmap(scratch / "teacher.npy", "w+", logits.dtype, logits.shape)
    for start in range(0, len(logits), BLOCK):
        result[start : start + BLOCK] = TASK.probabilities(np.asarray(logits[start : start + BLOCK]))
    return np.asarray(result)


def _find(context: Context, name: str) -> Path:
    """Return the path of an artefact, also of those that this stage has just written."""
    writer, _, file = name.partition("/")
    return context.out / file if writer == context.stage.name else context.path(name)


def _chosen(context: Context, student: Classifier, teacher: Candidate) -> Chosen | None:
    """Return the threshold at which student + teacher reach the teacher, on texts that no student learnt from."""
    folder, replaced = context.path("soft_labels/answers"), is_replaced(context.path("label/splits"), "validation")
    validation, heldout = context.read("validation", "heldout")
    if len(validation) and not replaced:
        probabilities = student.predict_proba(list(validation["text"]))
        truth = TASK.targets(labels_of(validation), probabilities.shape[1])
        return choose_threshold(probabilities, TASK.decision(np.load(folder / VALIDATION)), truth, labelled=True)
    if not len(heldout):
        return None
    # The soft labels are of all teachers, the teacher's own decisions may be worse.
    texts, truth = list(heldout["text"]), TASK.probabilities(np.load(folder / HELDOUT))
    return choose_threshold(student.predict_proba(texts), answers_of(teacher.predict(texts)), truth, labelled=False)


def _doubtful(context: Context, train: Dataset) -> tuple[int, list[dict[str, str]]]:
    """Return the number of training labels that were checked, and the doubtful ones. Labels of a machine are not."""
    unseen, replaced = Vectors.load(context.path("teacher/vectors")).unseen, context.path("label/splits")
    if is_replaced(replaced, "train"):
        unseen = unseen[:0]
    texts, labels = list(train["text"]), labels_of(train)
    found = doubtful_labels(texts, labels, unseen, context.params.seed)
    return found.checked, doubtful_rows(found, texts, labels, label_names(train))


def _warn(classes: list[ClassCounts], against: dict[str, ConstantComparison]) -> None:
    for name, found in against.items():
        if not found.is_better:
            message = "the %s is not better than always answering %r, the most frequent class (%.1f %% right). %s"
            logger.warning(message, name, found.name, 100 * found.accuracy, HELP)
    for sentence in class_warnings(classes):
        logger.warning("classes %s", sentence)


if __name__ == "__main__":
    command("evaluate", evaluate)
