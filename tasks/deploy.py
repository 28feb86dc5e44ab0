"""Stage ``deploy``: evaluate a device's student on the test set with the device's threads, and register it."""

import os
import sys
from pathlib import Path

from stillhouse.compression.seal import copy_with_threshold
from stillhouse.data.splits import label_names, labels_of
from stillhouse.evaluation.candidate import Candidate, folder_bytes
from stillhouse.evaluation.cases import behaviours, passed_share, read_cases
from stillhouse.evaluation.classes import count_classes, read_classes
from stillhouse.evaluation.confidence import certified, promises_of, threshold_of
from stillhouse.evaluation.quality import answers_of, quality
from stillhouse.evaluation.reference import reference, teacher_answers
from stillhouse.evaluation.results import as_dict, read_qualities
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
    """Write ``model/`` with its certified threshold, and ``receipt.json``.

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
    model = copy_with_threshold(compressed, context.out / "model", threshold_of(statements), promises_of(statements))
    case = PromotionRequest(
        model,
        compressed,
        params.register_,
        f"devices.{name}",
        aliases_of(name),
        result,
        read_qualities(context.path("evaluate/metrics.json"))["teacher"],
        {},  # no comparison with the free baselines: they do not fit a device's budget
        speed[name].latency_ms,
        count_classes(labels, answers_of(scores[name]), names, training),
        passed_share(behaviours(read_cases(Path(params.evaluate.cases), names), classifier.predict)),
        texts,
        labels,
        names,
        {"device": name},
        statements,
    )
    version, verdict = register_and_judge(context, case)
    receipt = receipt_of(version, model_digest(model), model)
    write_json(context.out / "receipt.json", receipt)
    timings = as_dict(speed[name]) | {"threads": device.threads, "reasons": verdict.reasons}
    write_json(context.out / "speed.json", {"digest": receipt["digest"], **timings})
    context.run.metrics({"speed": as_dict(speed[name])})
    return {**as_dict(result), "version": version.number, "passed": int(verdict.passed)}


if __name__ == "__main__":
    command("deploy", deploy, sys.argv[1])
