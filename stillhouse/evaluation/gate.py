"""Whether a student may become ``@champion``."""

from dataclasses import dataclass
from typing import Any

from stillhouse.params import Register


@dataclass(frozen=True)
class Verdict:
    """``reasons`` has one sentence for each condition, kept or broken."""

    passed: bool
    reasons: tuple[str, ...]


def judge(
    settings: Register,
    student: dict[str, Any],
    teacher: dict[str, Any],
    latency_ms: float,
    champion_accuracy: float | None,
    section: str = "register",
) -> Verdict:
    """Hold the compressed student against the gate in ``params.yaml`` and against the present champion.

    Args:
        settings: the gate.
        student: the compressed student's ``accuracy`` and ``megabytes`` on the test set.
        teacher: the teacher's ``accuracy``.
        latency_ms: median for one text.
        champion_accuracy: the champion's on the same test texts; None where there is no champion.
        section: where in ``params.yaml`` the gate's keys stand.
    """
    retention = student["accuracy"] / max(teacher["accuracy"], 1e-9)
    checks = [
        (
            retention >= settings.min_retention,
            f"keeps {retention:.1%} of the teacher's accuracy ({section}.min_retention: {settings.min_retention:.1%})",
        ),
        (
            student["megabytes"] <= settings.max_size_mb,
            f"takes {student['megabytes']:.2f} MB ({section}.max_size_mb: {settings.max_size_mb:g})",
        ),
        (
            latency_ms <= settings.max_latency_ms,
            f"answers one text in {latency_ms:.1f} ms ({section}.max_latency_ms: {settings.max_latency_ms:g})",
        ),
    ]
    if champion_accuracy is not None:
        comparison = f"{student['accuracy']:.2%} against the champion's {champion_accuracy:.2%} on the same test texts"
        checks.append((student["accuracy"] >= champion_accuracy, comparison))
    reasons = tuple(f"{'ok' if kept else 'FAILED'}: {sentence}" for kept, sentence in checks)
    return Verdict(all(kept for kept, _ in checks), reasons)
