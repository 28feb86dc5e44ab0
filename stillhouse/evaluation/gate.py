"""Whether a student may become ``@champion``."""

from dataclasses import dataclass

from stillhouse.evaluation.quality import Quality
from stillhouse.evaluation.significance import Gap
from stillhouse.params import Register

FREE = ("control", "TF-IDF + SVM")  # what could be had without distilling
ADVICE = "texts without labels (data.unlabelled), longer training (student.training.epochs), a lower student.alpha"


@dataclass(frozen=True)
class Verdict:
    """``reasons`` has one sentence for each condition, kept or broken."""

    passed: bool
    reasons: tuple[str, ...]


def judge(
    settings: Register,
    student: Quality,
    teacher: Quality,
    latency_ms: float,
    free: dict[str, Gap],
    champion: Gap | None,
    section: str = "register",
    kept_cases: float = 1.0,
) -> Verdict:
    """Hold the compressed student against the gate in ``params.yaml``, what is free, and the present champion.

    Args:
        settings: the gate.
        student: the compressed student on the test set.
        teacher: the teacher on it.
        latency_ms: median for one text.
        free: for each model that costs no distillation the student's accuracy minus its own.
        champion: the same for the present champion, on the same test texts; None where there is none.
        section: where in ``params.yaml`` the gate's keys stand.
        kept_cases: share of the behaviours that it shows, of those that it was asked for.
    """
    retention = student.accuracy / max(teacher.accuracy, 1e-9)
    checks = [
        (
            retention >= settings.min_retention,
            f"keeps {retention:.1%} of the teacher's accuracy ({section}.min_retention: {settings.min_retention:.1%})",
        ),
        (
            student.megabytes <= settings.max_size_mb,
            f"takes {student.megabytes:.2f} MB ({section}.max_size_mb: {settings.max_size_mb:g})",
        ),
        (
            latency_ms <= settings.max_latency_ms,
            f"answers one text in {latency_ms:.1f} ms ({section}.max_latency_ms: {settings.max_latency_ms:g})",
        ),
    ]
    if settings.min_cases is not None:
        limit = f"{section}.min_cases: {settings.min_cases:.0%}"
        checks.append((kept_cases >= settings.min_cases, f"keeps {kept_cases:.0%} of evaluate.cases ({limit})"))
    for name, gap in free.items():
        advice = "" if not gap.is_loss else f". Use {name}, or give the student more: {ADVICE}"
        checks.append((not gap.is_loss, f"is not shown to be below {name}: {_told(gap)}{advice}"))
    if champion is not None:
        kept = not champion.is_loss and champion.accuracy >= -settings.margin
        limit = f"register.margin ({settings.margin:.1%})"
        checks.append((kept, f"is neither shown nor by more than {limit} below the champion: {_told(champion)}"))
    reasons = tuple(f"{'ok' if kept else 'FAILED'}: {sentence}" for kept, sentence in checks)
    return Verdict(all(kept for kept, _ in checks), reasons)


def _told(gap: Gap) -> str:
    low, middle, high = (100 * value for value in (gap.low, gap.accuracy, gap.high))
    return f"{middle:+.1f} points on the same test texts (95 % interval {low:+.1f} to {high:+.1f})"
