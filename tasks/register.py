"""Stage ``register``: the compressed student becomes a registered version, and champion if it passes the gate."""

import json

from stillhouse.chain import OUTPUTS
from stillhouse.data.splits import label_names, labels_of, read_split
from stillhouse.evaluation.classes import read_classes
from stillhouse.evaluation.gate import FREE
from stillhouse.evaluation.latency import latency_ms
from stillhouse.evaluation.results import METRICS, read_gaps, read_qualities
from stillhouse.provenance import folder_md5
from stillhouse.serving.classifier import Classifier
from stillhouse.tracking.identity import model_digest
from stillhouse.tracking.receipts import receipt_of
from stillhouse.tracking.registry import PIPELINE
from stillhouse.tracking.runs import find_run
from tasks.shared.files import write_json
from tasks.shared.registering import Case, register_and_judge
from tasks.shared.stage import Context, Metrics, command


def register(context: Context) -> Metrics:
    """Write ``receipt.json``: name, version, digest, classes and store of what was registered.

    Identical files under the same serving code are never registered twice: their version is found by its digest.
    """
    settings, model = context.params.register_, OUTPUTS / "compress" / "model"
    test = read_split(OUTPUTS / "prepare" / "test.arrow")
    texts, place = list(test["text"]), OUTPUTS / "evaluate"
    models, gaps = read_qualities(place), read_gaps(place)
    student = find_run(context.params.tracking.experiment, "student", folder_md5(OUTPUTS / "student"))
    # Measured here and now: the file that evaluate left may be from another machine, or gone.
    latency = latency_ms(Classifier.load(model).predict_proba, texts[:50])[0]
    case = Case(
        model,
        settings,
        "register",
        PIPELINE,
        models["compressed student"],
        models["teacher"],
        {name: gaps[f"compressed student - {name}"] for name in FREE},
        latency,
        read_classes(place),
        json.loads((place / METRICS).read_text(encoding="utf-8"))["cases"]["kept"],
        texts,
        labels_of(test),
        label_names(test),
        {"run.student": student or ""},
    )
    version, verdict = register_and_judge(context, case)
    receipt = receipt_of(version, model_digest(model), model)
    write_json(context.out / "receipt.json", receipt)
    return {"version": version.number, "passed": int(verdict.passed)}


if __name__ == "__main__":
    command("register", register)
