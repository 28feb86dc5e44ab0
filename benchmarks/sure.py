"""How sure the compressed student of a case is: calibration, the cascade with its teacher, and certified answers."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from stillhouse.data.splits import labels_of, read_split
from stillhouse.evaluation.confidence import LABELS, read_statements
from stillhouse.evaluation.display import percent
from stillhouse.evaluation.report import as_markdown, machine
from stillhouse.files import write_json
from stillhouse.pipeline.artefacts import path, split
from stillhouse.serving.classifier import Classifier
from stillhouse.task import TASK

FOLDER = "sure"  # in the folder of results
WANTED = 0.99  # of the answers
FEWEST = 50  # answers, of which a share is counted
EXPLAINED = """\
Test texts, means over the draws or seeds. *Calibration error*: of 15 bins in %, with the 95 % interval of the first
run. *Deferred at the teacher's accuracy*: share of the texts that the teacher answers, with the threshold chosen
without the test texts so that both together are at most half a point below the teacher; then the accuracy of both
together, and of the teacher alone. *99 % in hindsight*: the smallest share without which 99 % of the answers are right.
*Certified*: the share that must be deferred so that this holds with a confidence of 95 %
(`register.answered_accuracy`); –: not certified."""


def store_sureness(results: Path, case: str, title: str, seed: int, folder: Path) -> None:
    """Add the numbers of a finished run in ``folder`` to ``<results>/sure/<case>.json``."""
    file = results / FOLDER / f"{case}.json"
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"runs": {}}
    found |= {"corpus": title, "machine": machine()}
    found["runs"][str(seed)] = sureness(folder)
    file.parent.mkdir(exist_ok=True)
    write_json(file, found)


def sureness(folder: Path) -> dict[str, Any]:
    """Return the numbers of the table for the finished project in ``folder``."""
    metrics = json.loads(path("evaluate/metrics.json", folder).read_text(encoding="utf-8"))
    statements = read_statements(path("evaluate/certificate.json", folder))
    certified = {
        f"{one.certificate.wanted:g}": one.certificate.deferred if one.certificate.min_confidence is not None else None
        for one in statements
        if one.by == LABELS
    }
    found = {"certified": certified, "hindsight": deferred_in_hindsight(*test_answers(folder))}
    return found | {"confidence": metrics["confidence"], "cascade": metrics["cascade"]}


def test_answers(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the confidence of each answer of the compressed student to the test texts, and whether it is right.

    Args:
        folder: of the finished project.
    """
    test = read_split(split("test", folder))
    probabilities = Classifier.load(path("compress/model", folder)).predict_proba(list(test["text"]))
    return TASK.confidence(probabilities), TASK.correct(labels_of(test), TASK.decision(probabilities))


def deferred_in_hindsight(confidence: np.ndarray, right: np.ndarray, wanted: float = WANTED) -> float | None:
    """Return the smallest share of texts without which ``wanted`` of the answers are right; None if there is none.

    Args:
        confidence: of each answer, (texts,).
        right: whether it is right, (texts,).
        wanted: share of right answers.
    """
    order = np.argsort(-confidence, kind="stable")
    answered = np.arange(1, len(right) + 1)
    enough = np.flatnonzero((np.cumsum(right[order]) >= wanted * answered) & (answered >= min(FEWEST, len(right))))
    return 1 - float(answered[enough[-1]]) / len(right) if len(enough) else None


def sureness_section(results: Path) -> list[str]:
    """Return the paragraphs of RESULTS.md; none if nothing was stored."""
    rows, machines = [], set()
    for file in sorted((results / FOLDER).glob("*.json")):
        found = json.loads(file.read_text(encoding="utf-8"))
        machines.add(found["machine"])
        rows.append([found["corpus"], ", ".join(found["runs"]), *_cells(list(found["runs"].values()))])
    if not rows:
        return []
    together = ["deferred at the teacher's accuracy", "both", "teacher"]
    certified = ["99 % in hindsight", "98 % certified", "99 % certified"]
    header = ["corpus", "seeds", "calibration error", *together, *certified]
    return ["## How sure the student is", f"{EXPLAINED}\n{'; '.join(sorted(machines))}.", as_markdown([header, *rows])]


def _cells(runs: list[dict[str, Any]]) -> list[str]:
    first = runs[0]["confidence"]
    error = 100 * float(np.mean([run["confidence"]["calibration_error"] for run in runs]))
    cells = [f"{error:.1f} ({100 * first['low']:.1f} to {100 * first['high']:.1f})"]
    cells += [_mean([run["cascade"].get(key) for run in runs]) for key in ("deferred", "accuracy", "teacher")]
    cells.append(_mean([run["hindsight"] for run in runs]))
    return cells + [_mean([run["certified"].get(wanted) for run in runs]) for wanted in ("0.98", "0.99")]


def _mean(values: list[float | None]) -> str:
    found = [value for value in values if value is not None]
    if not found:
        return "–"
    return percent(float(np.mean(found))) + (f" ({len(found)} of {len(values)})" if len(found) < len(values) else "")
