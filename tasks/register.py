"""Stage ``register``: register the compressed student as a version; it becomes champion if it passes the gate."""

import json

from stillhouse.compression.seal import copy_with_threshold
from stillhouse.data.splits import label_names
from stillhouse.evaluation.confidence import promises_of
from stillhouse.evaluation.evidence import COMPRESSED, read_evidence
from stillhouse.evaluation.gate import FREE
from stillhouse.evaluation.latency import latency_ms
from stillhouse.evaluation.model_card import write_card
from stillhouse.evaluation.reference import reference, teacher_answers
from stillhouse.files import write_json
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.stage import Metrics, command
from stillhouse.pipeline.stages import STAGES
from stillhouse.provenance import folder_md5
from stillhouse.serving.classifier import Classifier
from stillhouse.tracking.identity import model_digest
from stillhouse.tracking.receipts import receipt_of
from stillhouse.tracking.registry import PIPELINE
from stillhouse.tracking.search import find_run
from tasks.promotion import PromotionRequest, register_and_judge


def register(context: Context) -> Metrics:
    """Write ``model/``, the compressed student with its certified threshold and model card, and ``receipt.json``.

    The receipt has name, version, digest, classes and store of the registered model.

    Identical files with the same serving code are never registered twice: the existing version is found by its digest.
    """
    settings, compressed = context.params.register_, context.path("compress/model")
    evidence = read_evidence(context.params.model_name, context.path)
    promises = promises_of(evidence.statements)
    model = copy_with_threshold(compressed, context.out / "model", evidence.min_confidence, promises)
    write_card(model, evidence, settings, context.params.data)
    [test] = context.read("test")
    labels, _ = reference(test, teacher_answers(context.path("evaluate/answers.csv"), test))
    texts, metrics = list(test["text"]), context.path("evaluate/metrics.json")
    student = find_run(context.params.tracking.experiment, "student", folder_md5(STAGES["student"].folder))
    # Measured here: the timings of the stage evaluate may be from another machine, or missing.
    latency = latency_ms(Classifier.load(model).predict_proba, texts[:50])[0]
    case = PromotionRequest(
        model,
        compressed,
        settings,
        "register",
        PIPELINE,
        evidence.student,
        evidence.teacher,
        {name: evidence.gaps[f"{COMPRESSED} - {name}"] for name in FREE},
        latency,
        evidence.classes,
        json.loads(metrics.read_text(encoding="utf-8"))["cases"]["passed"],
        texts,
        labels,
        label_names(test),
        {"run.student": student or ""},
        evidence.statements,
        evidence.summary,
    )
    version, verdict = register_and_judge(context, case)
    receipt = receipt_of(version, model_digest(model), model)
    write_json(context.out / "receipt.json", receipt)
    return {"version": version.number, "passed": int(verdict.passed)}


if __name__ == "__main__":
    command("register", register)
