"""Stage ``deploy``: evaluate a device's student on the test set with the device's threads, and register it."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from datasets import Dataset

from stillhouse.compression.seal import copy_with_threshold
from stillhouse.data.splits import label_names, labels_of
from stillhouse.evaluation.candidate import Candidate, folder_bytes
from stillhouse.evaluation.cases import behaviours, passed_share, read_cases
from stillhouse.evaluation.classes import ClassCounts, count_classes, read_classes
from stillhouse.evaluation.confidence import Confidence, Statement, certified, promises_of, threshold_of
from stillhouse.evaluation.evidence import COMPRESSED, STUDENT, Evidence, confusions, read_evidence
from stillhouse.evaluation.gate import FREE
from stillhouse.evaluation.model_card import write_card
from stillhouse.evaluation.quality import Quality, answers_of, differences, quality
from stillhouse.evaluation.reference import model_answers, reference, teacher_answers
from stillhouse.evaluation.results import as_dict
from stillhouse.evaluation.speed import measure_speed
from stillhouse.files import write_json
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.stage import Metrics, command
from stillhouse.serving.classifier import Classifier
from stillhouse.tracking.identity import model_digest
from stillhouse.tracking.receipts import receipt_of
from stillhouse.tracking.registry import aliases_of
from tasks.promotion import PromotionRequest, register_and_judge


def deploy(context: Context) -> Metrics:
    """Write ``model/`` with its certified threshold and model card, and ``receipt.json``.

    ``speed.json`` has this machine's timings; DVC does not store it.

    The version has the tag ``device``. If it passes the gate, it gets the alias that is named after the device.
    """
    name = context.stage.instance
    params = context.params
    device = params.devices[name]
    os.environ["RAYON_NUM_THREADS"] = str(device.threads)  # tokenizers reads it at its first large batch

    compressed = context.path("device/model")
    [test] = context.read("test")
    context.run.dataset(context.path("test"), "test")
    teacher = teacher_answers(context.path("evaluate/answers.csv"), test)
    labels, of_teacher = reference(test, teacher)
    texts, names = list(test["text"]), label_names(test)
    classifier = Classifier.load(compressed, device.threads)
    candidate = Candidate(name, classifier.predict_proba, folder_bytes(compressed))
    scores, speed = measure_speed([candidate], texts)
    scores["teacher"] = teacher
    sizes = {name: candidate.bytes, "teacher": 0}
    result = quality(labels, scores, sizes, params.evaluate.bootstrap, params.seed, of_teacher)[name]
    training = [one.training for one in read_classes(context.path("evaluate/classes.csv"))]
    statements = certified(scores[name], labels_of(test), teacher, params.register_)
    counts = count_classes(labels, answers_of(scores[name]), names, training)
    evidence = _evidence(context, test, scores[name], result, counts, statements)
    model = copy_with_threshold(compressed, context.out / "model", threshold_of(statements), promises_of(statements))
    write_card(model, evidence, params.register_, params.data)
    case = PromotionRequest(
        model,
        compressed,
        params.register_,
        f"devices.{name}",
        aliases_of(name),
        result,
        evidence.teacher,
        {},  # no comparison with the free baselines: they do not fit a device's budget
        speed[name].latency_ms,
        counts,
        passed_share(behaviours(read_cases(Path(params.evaluate.cases), names), classifier.predict)),
        texts,
        labels,
        names,
        {"device": name},
        statements,
        evidence.summary,
    )
    version, verdict = register_and_judge(context, case)
    receipt = receipt_of(version, model_digest(model), model)
    write_json(context.out / "receipt.json", receipt)
    timings = as_dict(speed[name]) | {"threads": device.threads, "reasons": verdict.reasons}
    write_json(context.out / "speed.json", {"digest": receipt["digest"], **timings})
    context.run.metrics({"speed": as_dict(speed[name])})
    return {**as_dict(result), "version": version.number, "passed": int(verdict.passed)}


def _evidence(
    context: Context,
    test: Dataset,
    scores: np.ndarray,
    result: Quality,
    counts: list[ClassCounts],
    statements: list[Statement],
) -> Evidence:
    """The evidence of the pipeline, with the device's student instead of the pipeline's."""
    params, names, answers = context.params, label_names(test), context.path("evaluate/answers.csv")
    labels, _ = reference(test, teacher_answers(answers, test))
    decisions = {name: model_answers(answers, name, test) for name in FREE} | {COMPRESSED: answers_of(scores)}
    resampling = (params.evaluate.bootstrap, params.seed)
    compressed = json.loads(context.path("device/metrics.json").read_text(encoding="utf-8"))
    evidence = read_evidence(params.model_name, context.path)
    pairs = zip(labels, decisions[COMPRESSED], strict=True)
    return replace(
        evidence,
        source=STUDENT,
        models={one: result if one == COMPRESSED else q for one, q in evidence.models.items() if one != STUDENT},
        gaps=differences(labels, decisions, [(COMPRESSED, name) for name in FREE], *resampling),
        classes=counts,
        confusions=confusions((names[label], names[answer]) for label, answer in pairs),
        confidence=Confidence.of(compressed, scores, labels_of(test), statements, *resampling).numbers(),
        statements=statements,
        device=context.stage.instance,
    )


if __name__ == "__main__":
    command("deploy", deploy, sys.argv[1])
