"""Whether a student may become ``@champion``."""

from collections.abc import Sequence
from dataclasses import dataclass

from stillhouse.errors import listed
from stillhouse.evaluation.classes import NAMED, Class, class_warnings
from stillhouse.evaluation.constant import HELP, against_constant
from stillhouse.evaluation.quality import Quality
from stillhouse.evaluation.significance import Gap, p_value
from stillhouse.params import Register

FREE = ("control", "TF-IDF + SVM")  # what could be had without distilling
ADVICE = "texts without labels (data.unlabelled), longer training (student.training.epochs), a lower student.alpha"


@dataclass(frozen=True)
class Verdict:
    """``reasons`` has one sentence for each condition, met or not, and after them notes on the classes."""

    passed: bool
    reasons: tuple[str, ...]


def judge(
    settings: Register,
    student: Quality,
    teacher: Quality,
    latency_ms: float,
    free: dict[str, Gap],
    champion: Gap | None,
    classes: Sequence[Class],
    section: str = "register",
    kept_cases: float = 1.0,
) -> Verdict:
    """Compare the compressed student with the gate in ``params.yaml``, what is free, and the present champion.

    Whatever the gate's limits, it must be better than a constant answer (:class:`~.constant.Against`).

    Args:
        settings: the gate.
        student: the compressed student on the test set.
        teacher: the teacher on it.
        latency_ms: median for one text.
        free: for each model that costs no distillation the student's accuracy minus its own.
        champion: the same for the present champion, on the same test texts; None where there is none.
        classes: the student's counts of each class on the test set.
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
        limit = f"register.min_cases: {settings.min_cases:.0%}"
        checks.append((kept_cases >= settings.min_cases, f"keeps {kept_cases:.0%} of evaluate.cases ({limit})"))
    checks.append(_above_constant(classes))
    if settings.min_class_recall is not None:
        checks.append(_recall(classes, settings.min_class_recall, f"{section}.min_class_recall"))
    for name, gap in free.items():
        advice = "" if not gap.is_loss else f". Use {name}, or give the student more: {ADVICE}"
        checks.append((not gap.is_loss, f"is not shown to be below {name}: {_told(gap)}{advice}"))
    if champion is not None:
        kept = not champion.is_loss and champion.accuracy >= -settings.margin
        limit = f"register.margin ({settings.margin:.1%})"
        checks.append((kept, f"is neither shown nor by more than {limit} below the champion: {_told(champion)}"))
    reasons = [f"{'ok' if kept else 'FAILED'}: {sentence}" for kept, sentence in checks]
    reasons += [f"note: {sentence}" for sentence in class_warnings(classes)]
    return Verdict(all(kept for kept, _ in checks), tuple(reasons))


def _above_constant(classes: Sequence[Class]) -> tuple[bool, str]:
    found = against_constant(classes)
    told = (
        f"is better than always answering {found.name!r}, the most frequent class with {found.accuracy:.1%} of the "
        f"test texts: {_told(found.gap)}; mean recall of the classes {found.recall:.1%}, a constant answer's "
        f"{found.chance:.1%}"
    )
    return found.is_better, told if found.is_better else f"{told}. {HELP}"


def _recall(classes: Sequence[Class], least: float, key: str) -> tuple[bool, str]:
    """Every class with test texts counts, however few: the sentence says how many there are."""
    tested = sorted((one for one in classes if one.texts), key=lambda one: one.recall)
    below = [f"{one.recall:.1%} of {one.counts}" for one in tested if one.recall < least]
    told = f"recognises at least {least:.1%} of each class ({key})"
    if below:
        return False, f"{told}; below are {listed(below, NAMED)}. Label more texts of them"
    return True, f"{told}; the lowest is {tested[0].recall:.1%} of {tested[0].counts}"


def _told(gap: Gap) -> str:
    low, middle, high = (100 * value for value in (gap.low, gap.accuracy, gap.high))
    return f"{middle:+.1f} points on the same test texts (95 % interval {low:+.1f} to {high:+.1f}, {p_value(gap.p)})"
