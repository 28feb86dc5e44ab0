"""The gate: the conditions under which a student may become ``@champion``."""

from collections.abc import Sequence
from dataclasses import dataclass

from stillhouse.errors import listed
from stillhouse.evaluation.classes import NAMED, ClassCounts, class_warnings
from stillhouse.evaluation.confidence import PARAMETERS, Statement
from stillhouse.evaluation.constant import HELP, compare_with_constant
from stillhouse.evaluation.quality import Quality, retention
from stillhouse.evaluation.reference import NOTE
from stillhouse.evaluation.significance import Gap, p_value
from stillhouse.params import Register

FREE = ("control", "TF-IDF + SVM")  # models that need no distillation
ADVICE = (
    "texts without labels (data.unlabelled), longer training (student.training.epochs), a larger student.size, a lower "
    "student.alpha"
)


@dataclass(frozen=True)
class Verdict:
    """The gate's decision. ``reasons`` has a sentence for each condition, met or not, then notes on the classes."""

    passed: bool
    reasons: tuple[str, ...]


def judge(
    settings: Register,
    student: Quality,
    teacher: Quality,
    latency_ms: float,
    free: dict[str, Gap],
    champion: Gap | None,
    classes: Sequence[ClassCounts],
    section: str = "register",
    passed_cases: float = 1.0,
    champion_measured: bool = False,
    statements: Sequence[Statement] = (),
) -> Verdict:
    """Decide whether the compressed student passes the gate.

    It is compared with the limits in ``params.yaml``, with the models that need no distillation, and with the present
    champion. It must always be better than a constant prediction (:class:`~.constant.ConstantComparison`). Without a
    labelled test text (``student.of_teacher``) every limit on accuracy is one on the agreement with the teacher, and
    the student never replaces a champion whose accuracy was measured.

    Args:
        settings: the limits.
        student: the compressed student on the test set.
        teacher: the teacher on the test set.
        latency_ms: median latency of one text in milliseconds.
        free: the student's accuracy minus that of each model that needs no distillation.
        champion: the student's accuracy minus that of the present champion on the same test texts; None if there is
            no champion to compare with.
        classes: the student's counts of each class on the test set.
        section: the section of ``params.yaml`` with the limits, for the messages.
        passed_cases: share of ``evaluate.cases`` that the student passes, 0 to 1.
        statements: what was certified about the student's answers; every demanded statement must hold.
        champion_measured: whether another version is champion, and its accuracy was measured on labelled test texts.
    """
    unit = "points of agreement with the teacher" if student.of_teacher else "points"
    limit = f"{section}.min_retention: {settings.min_retention:.1%}"
    retained = retention(student, teacher)
    checks = [
        (
            retained >= settings.min_retention,
            f"agrees with the teacher on {retained:.1%} of the test texts, which have no labels ({limit})"
            if student.of_teacher
            else f"has {retained:.1%} of the teacher's accuracy ({limit})",
        ),
        (
            student.megabytes <= settings.max_size_mb,
            f"has {student.megabytes:.2f} MB ({section}.max_size_mb: {settings.max_size_mb:g})",
        ),
        (
            latency_ms <= settings.max_latency_ms,
            f"predicts one text in {latency_ms:.1f} ms ({section}.max_latency_ms: {settings.max_latency_ms:g})",
        ),
    ]
    if settings.min_cases is not None:
        limit = f"register.min_cases: {settings.min_cases:.0%}"
        checks.append((passed_cases >= settings.min_cases, f"passes {passed_cases:.0%} of evaluate.cases ({limit})"))
    checks += [
        (one.certificate.min_confidence is not None, f"{one.sentence} (register.{PARAMETERS[one.by]})")
        for one in statements
        if one.demanded
    ]
    checks.append(_above_constant(classes, unit))
    if settings.min_class_recall is not None:
        checks.append(_recall(classes, settings.min_class_recall, f"{section}.min_class_recall"))
    for name, gap in free.items():
        advice = "" if not gap.is_loss else f". Use {name}, or give the student more: {ADVICE}"
        checks.append((not gap.is_loss, f"is not shown to be below {name}: {_described(gap, unit)}{advice}"))
    if champion is not None:
        met = not champion.is_loss and champion.accuracy >= -settings.margin
        limit = f"register.margin ({settings.margin:.1%})"
        sentence = f"is not shown to be below the champion, and at most {limit} below it: {_described(champion, unit)}"
        sentence += "" if met else ". A larger student.size may be as good"
        checks.append((met, sentence))
    if student.of_teacher and champion_measured:
        checks.append((False, "its accuracy is unknown, and that of the champion was measured: the champion stays"))
    reasons = [f"{'ok' if met else 'FAILED'}: {sentence}" for met, sentence in checks]
    notes = [NOTE] if student.of_teacher else []
    reasons += [f"note: {sentence}" for sentence in (*notes, *class_warnings(classes))]
    return Verdict(all(met for met, _ in checks), tuple(reasons))


def _above_constant(classes: Sequence[ClassCounts], unit: str) -> tuple[bool, str]:
    found = compare_with_constant(classes)
    sentence = (
        f"is better than always answering {found.name!r}, the most frequent class with {found.accuracy:.1%} of the "
        f"test texts: {_described(found.gap, unit)}; mean recall of the classes {found.recall:.1%}, that of a constant "
        f"prediction {found.chance:.1%}"
    )
    return found.is_better, sentence if found.is_better else f"{sentence}. {HELP}"


def _recall(classes: Sequence[ClassCounts], least: float, key: str) -> tuple[bool, str]:
    """Check the recall of every class that has test texts, even few; the sentence has their number."""
    tested = sorted((row for row in classes if row.texts), key=lambda row: row.recall)
    below = [f"{row.recall:.1%} of {row.counts}" for row in tested if row.recall < least]
    sentence = f"recognises at least {least:.1%} of each class ({key})"
    if below:
        return False, f"{sentence}; below are {listed(below, NAMED)}. Label more texts of them"
    return True, f"{sentence}; the lowest is {tested[0].recall:.1%} of {tested[0].counts}"


def _described(gap: Gap, unit: str) -> str:
    low, middle, high = (100 * value for value in (gap.low, gap.accuracy, gap.high))
    return f"{middle:+.1f} {unit} on the same test texts (95 % interval {low:+.1f} to {high:+.1f}, {p_value(gap.p)})"
