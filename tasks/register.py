"""Stage ``register``: the compressed student becomes a registered version, and champion if it passes the gate."""

import json
import tempfile
from pathlib import Path
from typing import Any

from tasks.stage import OUTPUTS, Context, Metrics, Stage, write_json

STAGE = Stage("register", retries=True)


def register(context: Context) -> Metrics:
    """Write ``receipt.json``: the registered name, version, and digest of the model's files.

    Identical files are never registered twice: the version that holds them is found by their digest.
    """
    from stillhouse.data.splits import label_names, labels_of, read_split
    from stillhouse.evaluation.gate import judge
    from stillhouse.provenance import folder_md5
    from stillhouse.tracking import registry

    settings, model = context.params.register_, OUTPUTS / "compress" / "model"
    test = read_split(OUTPUTS / "prepare" / "test.arrow")
    digest = folder_md5(model)
    version = registry.find_version(settings.name, digest)
    if version is None:
        examples = [text[:500] for text in test[:3]["text"]]
        version = registry.register_model(context.run, model, settings.name, examples, _evidence(context, digest))
    models = _read("metrics.json")["models"]
    champion = registry.version_of(settings.name, registry.CHAMPION)
    rival = None if champion is None or champion.number == version.number else champion
    verdict = judge(
        settings,
        models["compressed student"],
        models["teacher"],
        _latency(model, list(test[:50]["text"])),
        _accuracy_of(rival, list(test["text"]), labels_of(test), label_names(test)) if rival else None,
    )
    if verdict.passed and champion != version:
        registry.promote(version)
    elif not verdict.passed and champion is not None and champion.number == version.number:
        print("the present champion no longer passes the gate; it stays until another one does")
    standing = "Passed the gate" if verdict.passed else "Did not pass the gate"
    registry.describe(version, f"{standing}:\n\n" + "\n".join(f"- {reason}" for reason in verdict.reasons))
    print(f"{settings.name} version {version.number}: {standing.lower()}", *verdict.reasons, sep="\n  ")
    write_json(context.out / "receipt.json", {"name": settings.name, "version": version.number, "model_md5": digest})
    return {"version": version.number, "passed": int(verdict.passed)}


def _evidence(context: Context, digest: str) -> dict[str, str]:
    from stillhouse.provenance import file_md5, folder_md5, git_commit, lock_md5
    from stillhouse.tracking.registry import MODEL_TAG
    from stillhouse.tracking.runs import find_run

    student = _read("metrics.json")["models"]["compressed student"]
    experiment = context.params.tracking.experiment
    return {
        MODEL_TAG: digest,
        "git.commit": git_commit(),
        "dvc.lock_md5": lock_md5(),
        "data.train_md5": file_md5(OUTPUTS / "prepare" / "train.arrow"),
        "data.test_md5": file_md5(OUTPUTS / "prepare" / "test.arrow"),
        "run.teacher": find_run(experiment, "teacher", folder_md5(OUTPUTS / "teacher")) or "",
        "run.student": find_run(experiment, "student", folder_md5(OUTPUTS / "student")) or "",
        "test.accuracy": f"{student['accuracy']:.4f}",
        "test.macro_f1": f"{student['macro_f1']:.4f}",
        "test.teacher_agreement": f"{student['teacher_agreement']:.4f}",
    }


def _latency(model: Path, texts: list[str]) -> float:
    """Measured here and now: the file that evaluate left may be from another machine, or gone."""
    from stillhouse.classifier import Classifier
    from stillhouse.evaluation.latency import latency_ms

    return latency_ms(Classifier.load(model).predict_proba, texts)[0]


def _accuracy_of(version: Any, texts: list[str], labels: Any, names: list[str]) -> float:
    from stillhouse.classifier import Classifier
    from stillhouse.tracking.registry import fetch_model

    with tempfile.TemporaryDirectory() as scratch:
        answers = Classifier.load(fetch_model(version, Path(scratch))).predict(texts)
    return float(sum(names[label] == answer for label, answer in zip(labels, answers, strict=True)) / len(texts))


def _read(name: str) -> Any:
    return json.loads((OUTPUTS / "evaluate" / name).read_text(encoding="utf-8"))


if __name__ == "__main__":
    STAGE.command(register)
