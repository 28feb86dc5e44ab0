"""What the probabilities of the compressed student are worth on the test texts: calibration, and certified thresholds.

No model learnt from the test texts. Where they have no labels, agreement with the teacher alone is certified.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stillhouse.evaluation.calibration import Reliability, reliability, with_temperature
from stillhouse.evaluation.certificate import Certificate, certify
from stillhouse.evaluation.display import percent
from stillhouse.files import write_json
from stillhouse.params import Register
from stillhouse.task import TASK

BLOCK = 20_000  # texts whose probabilities are in memory at once
LABELS, TEACHER = "labels", "teacher"
SHOWN = (0.95, 0.98, 0.99)  # demands that the report also shows
PARAMETERS = {LABELS: "answered_accuracy", TEACHER: "answered_agreement"}


@dataclass(frozen=True)
class Statement:
    """A certificate, and what an answer is compared with.

    Attributes:
        by: ``labels``: an answer is right if it is the label. ``teacher``: if it is the teacher's decision.
        demanded: whether ``register.answered_accuracy`` or ``register.answered_agreement`` demands it.
        certificate: what was found.
    """

    by: str
    demanded: bool
    certificate: Certificate

    @property
    def sentence(self) -> str:
        """The result as the end of a sentence that begins with the student's name."""
        found = self.certificate
        right = f"{'right' if self.by == LABELS else 'the decision of the teacher'} in at least {percent(found.wanted)}"
        if found.min_confidence is not None:
            return (
                f"defers {percent(found.deferred)} of the texts; its other answers are {right} of cases, with 95 % "
                f"confidence ({found.errors} errors in {found.answered} answers)"
            )
        needed = "no threshold is strict enough" if found.more is None else f"about {found.more:,} more are needed"
        kind = "labelled test texts" if self.by == LABELS else "test texts"
        return f"is not shown to give answers that are {right} of cases: {found.texts} {kind}, {needed}"


def certified(
    probabilities: np.ndarray, labels: np.ndarray, teacher: np.ndarray, settings: Register
) -> list[Statement]:
    """Certify the demands in ``register``, and 95, 98 and 99 % for the report.

    Args:
        probabilities: of the student, float32 (texts, classes).
        labels: class numbers; a text may have none. (texts,).
        teacher: the teacher's decisions (texts,).
        settings: the section ``register``.
    """
    confidence, decided, known = TASK.confidence(probabilities), TASK.decision(probabilities), ~TASK.unlabelled(labels)
    found = []
    for by, reference, rows in ((LABELS, labels, known), (TEACHER, teacher, np.ones(len(labels), bool))):
        right, demanded = TASK.correct(reference, decided), getattr(settings, PARAMETERS[by])
        shown = SHOWN if rows.any() else ()
        for wanted in sorted({*shown, *([demanded] if demanded else [])}):
            found.append(Statement(by, wanted == demanded, certify(confidence[rows], right[rows], wanted)))
    return found


def threshold_of(statements: Sequence[Statement]) -> float | None:
    """Return the least probability at which every demanded statement holds; None if none is demanded, or one fails."""
    demanded = [one.certificate.min_confidence for one in statements if one.demanded]
    found = [least for least in demanded if least is not None]
    return max(found) if found and len(found) == len(demanded) else None


def promises_of(statements: Sequence[Statement]) -> dict[str, float]:
    """Return the demanded least shares of right answers, by their reference (``labels``, ``teacher``)."""
    return {one.by: one.certificate.wanted for one in statements if one.demanded}


def write_statements(statements: Sequence[Statement], file: Path) -> None:
    """Write the statements as JSON."""
    write_json(file, [asdict(one) for one in statements])


def read_statements(file: Path) -> list[Statement]:
    """Read the file of :func:`write_statements`."""
    rows = json.loads(file.read_text(encoding="utf-8"))
    return [Statement(row["by"], row["demanded"], Certificate(**row["certificate"])) for row in rows]


@dataclass(frozen=True)
class Confidence:
    """The calibration of the compressed student and its certified thresholds.

    Attributes:
        temperature: divides its logits; 1 if it was not calibrated.
        fitted: how the temperature was found (:class:`~.calibration.Calibration`, as a dictionary), if it was fitted.
        after: on the test texts as it is served; None if they have no labels.
        before: without the temperature; None if there is none.
        statements: of :func:`certified`.
    """

    temperature: float
    fitted: dict[str, Any] | None
    after: Reliability | None
    before: Reliability | None
    statements: list[Statement]

    @classmethod
    def of(
        cls,
        compressed: dict[str, Any],
        probabilities: np.ndarray,
        labels: np.ndarray,
        statements: list[Statement],
        resamples: int,
        seed: int,
    ) -> "Confidence":
        """Measure it.

        Args:
            compressed: the metrics of the stage ``compress``.
            probabilities: of the student, (texts, classes).
            labels: class numbers (texts,); a text may have none.
            statements: of :func:`certified`.
            resamples: of the bootstrap.
            seed: of the bootstrap.
        """
        temperature, known = compressed["temperature"], ~TASK.unlabelled(labels)
        after = before = None
        if known.any():
            rows = np.flatnonzero(known)
            after = reliability(*_answers(probabilities, labels, rows), resamples, seed)
            if temperature != 1.0:
                before = reliability(*_answers(probabilities, labels, rows, 1 / temperature), resamples, seed)
        return cls(temperature, compressed.get("calibration"), after, before, statements)

    @property
    def min_confidence(self) -> float | None:
        """The threshold of the registered model."""
        return threshold_of(self.statements)

    def numbers(self) -> dict[str, float]:
        """Return the numbers for ``metrics.json``."""
        found = {"temperature": self.temperature}
        for name, one in (("", self.after), ("before_", self.before)):
            if one is not None:
                errors = {"calibration_error": one.error, "low": one.low, "high": one.high}
                found |= {f"{name}{key}": value for key, value in errors.items()}
        return found


def _answers(
    probabilities: np.ndarray, labels: np.ndarray, rows: np.ndarray, temperature: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the confidence of the answers at ``rows`` and whether they are right, at a temperature if given."""
    parts = []
    for start in range(0, len(rows), BLOCK):
        some = rows[start : start + BLOCK]
        scores = probabilities[some]
        if temperature is not None:
            scores = with_temperature(scores.astype(float), temperature)
        parts.append((TASK.confidence(scores), TASK.correct(labels[some], TASK.decision(scores))))
    confidence, right = zip(*parts, strict=True)
    return np.concatenate(confidence), np.concatenate(right)
