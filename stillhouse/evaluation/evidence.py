"""What is known about the compressed student after the stage ``evaluate``: numbers, and the sentences about them.

The report, the model card and the description of the registered version take the facts that they share from here. An
:class:`Evidence` has no text of the data, no time stamp and no timing, so equal runs give equal evidence.
"""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillhouse.evaluation.classes import ClassCounts, class_warnings, read_classes
from stillhouse.evaluation.confidence import Statement, read_statements, threshold_of
from stillhouse.evaluation.display import number, percent
from stillhouse.evaluation.gate import FREE
from stillhouse.evaluation.quality import Quality, retention
from stillhouse.evaluation.reference import NOTE, measured
from stillhouse.evaluation.results import read_gaps, read_qualities
from stillhouse.evaluation.significance import Gap
from stillhouse.models.members import Member, read_members

COMPRESSED, TEACHER, CONTROL, STUDENT = "compressed student", "teacher", "control", "student"
# The artefacts that `read_evidence` reads.
EVALUATED = ("answers.csv", "certificate.json", "classes.csv", "metrics.json")
SOURCES = (
    *(f"evaluate/{name}" for name in EVALUATED),
    *("prepare/card.json", "label/metrics.json", "teacher/others", "compress/metrics.json"),
)
Find = Callable[[str], Path]


@dataclass(frozen=True)
class Confusion:
    """How often a class is taken for another one.

    Attributes:
        label: the class of the texts.
        answer: the predicted class.
        texts: number of such test texts.
    """

    label: str
    answer: str
    texts: int


@dataclass(frozen=True)
class Evidence:
    """The facts.

    Attributes:
        name: of the registered model.
        card: the data card that the stage ``prepare`` wrote.
        teachers: that label together.
        source: the network that was compressed, ``student`` or ``control``.
        first_source: where the labels come from that no person gave; empty if there are none.
        models: the quality of each model on the test set, by name.
        gaps: differences in accuracy, by ``<one> - <other>``.
        classes: the compressed student's counts of each class.
        confusions: its mistakes by label and answer, the most frequent first.
        confidence: its calibration (:meth:`stillhouse.evaluation.confidence.Confidence.numbers`).
        statements: what was certified about its answers.
        device: of the fleet, whose student it is; empty for the pipeline's student.
    """

    name: str
    card: dict[str, Any]
    teachers: Sequence[Member]
    source: str
    first_source: str
    models: Mapping[str, Quality]
    gaps: Mapping[str, Gap]
    classes: Sequence[ClassCounts]
    confusions: Sequence[Confusion]
    confidence: Mapping[str, float]
    statements: Sequence[Statement]
    device: str = ""

    @property
    def student(self) -> Quality:
        """The compressed student on the test set."""
        return self.models[COMPRESSED]

    @property
    def teacher(self) -> Quality:
        """The teacher on the test set."""
        return self.models[TEACHER]

    @property
    def of_teacher(self) -> bool:
        """Whether no test text has a label, so that every accuracy is agreement with the teacher."""
        return self.student.of_teacher

    @property
    def measured(self) -> str:
        """The name of the share of texts on which a model decides as the reference."""
        return measured(self.of_teacher)

    @property
    def retention(self) -> float:
        """The student's share of the teacher's accuracy."""
        return retention(self.student, self.teacher)

    @property
    def free(self) -> str:
        """The name of the best model that needs no distillation."""
        return max(FREE, key=lambda name: self.models[name].accuracy)

    @property
    def gain(self) -> Gap:
        """The student's accuracy minus that of the best model that needs no distillation."""
        return self.gaps[f"{COMPRESSED} - {self.free}"]

    @property
    def min_confidence(self) -> float | None:
        """The threshold of the registered model; None if it has none."""
        return threshold_of(self.statements)

    @property
    def data(self) -> str:
        """The numbers of texts and classes, as sentences."""
        splits = self.card["splits"]
        labelled, used = splits["train"]["rows"], sum(one.training for one in self.classes)
        machine = f" ({used - labelled:,} of them were trained on with labels from {self.first_source})"
        return (
            f"{f'{labelled:,}' if labelled else 'No'} labelled training texts, {self.card['unlabelled']:,} without "
            f"labels{machine if used > labelled else ''}, {splits['validation']['rows']:,} validation texts, "
            f"{splits['test']['rows']:,} test texts; {self.card['classes']:,} classes. All models are evaluated on the "
            "same test texts. No test text is among the training texts."
        )

    @property
    def quality(self) -> str:
        """What the student predicts correctly, and how that compares with the teacher, as a sentence."""
        share = percent(self.student.accuracy)
        if self.of_teacher:
            return f"The compressed student agrees with the teacher on {share} of the test texts."
        return (
            f"The compressed student predicts {share} of the test texts correctly, which is {percent(self.retention)} "
            "of the teacher's accuracy."
        )

    @property
    def taught(self) -> str:
        """Who taught the student, as sentences."""
        names = [f"{one.name} ({one.model}, weight {number(one.weight)})" for one in self.teachers]
        if len(names) > 1:
            return f"The teacher is the weighted mean of the probabilities of {', '.join(names)}."
        return f"The teacher is the model {self.teachers[0].model}."

    @property
    def origin(self) -> str:
        """That the control was compressed instead of the student, as sentences; empty if it was not."""
        if self.source != CONTROL:
            return ""
        return (
            "Distillation did not improve the student here. On the validation texts the control (the same network, "
            "trained on hard labels alone) is shown to be better than the distilled student, so the control was "
            "compressed."
        )

    @property
    def calibration(self) -> str:
        """How far the probabilities are from the share of right answers, as a sentence; empty if not measured."""
        found = self.confidence
        if "calibration_error" not in found:
            return ""
        return (
            "The probabilities of the compressed student differ from its share of right answers by "
            f"{percent(found['calibration_error'])} on average (expected calibration error, 95 % interval "
            f"{percent(found['low'])} to {percent(found['high'])})."
        )

    @property
    def threshold(self) -> str:
        """The threshold of the registered model, as a sentence."""
        if self.min_confidence is None:
            return "The registered model has no threshold: it defers nothing unless the caller names one."
        return f"The registered model has the threshold {self.min_confidence:.4f} and defers by it."

    @property
    def promises(self) -> list[str]:
        """The demanded statements, as ends of a sentence that begins with the student's name."""
        return [one.sentence for one in self.statements if one.demanded]

    @property
    def warnings(self) -> list[str]:
        """What limits the numbers: missing labels, and classes that are never recognised or not tested."""
        return ([NOTE] if self.of_teacher else []) + [f"classes {one}" for one in class_warnings(self.classes)]

    def weakest(self, most: int) -> list[ClassCounts]:
        """The tested classes with the lowest recall below 1, the lowest first."""
        tested = [one for one in self.classes if one.texts and one.right < one.texts]
        return sorted(tested, key=lambda one: (one.recall, one.name))[:most]

    @property
    def summary(self) -> str:
        """Data and quality in a paragraph, for the description of the registered version."""
        return f"{self.quality} {self.taught} {self.data}"


def read_evidence(name: str, find: Find) -> Evidence:
    """Read the evidence from the files of the stages.

    Args:
        name: of the registered model.
        find: the path of each artefact in ``SOURCES``.
    """
    metrics, recorded = find("evaluate/metrics.json"), _read(find("label/metrics.json"))
    return Evidence(
        name=name,
        card=_read(find("prepare/card.json")),
        teachers=read_members(find("teacher/others")),
        source=_read(find("compress/metrics.json"))["source"],
        first_source=recorded.get("source", ""),
        models=read_qualities(metrics),
        gaps=read_gaps(metrics),
        classes=read_classes(find("evaluate/classes.csv")),
        confusions=confusions(_pairs(find("evaluate/answers.csv"))),
        confidence=_read(metrics)["confidence"],
        statements=read_statements(find("evaluate/certificate.json")),
    )


def confusions(pairs: Iterable[tuple[str, str]]) -> list[Confusion]:
    """The mistakes among ``pairs`` of label and answer, the most frequent first."""
    found = [Confusion(*pair, texts) for pair, texts in Counter(pairs).items() if pair[0] != pair[1]]
    return sorted(found, key=lambda one: (-one.texts, one.label, one.answer))


def _pairs(answers: Path) -> Iterator[tuple[str, str]]:
    with answers.open(newline="", encoding="utf-8") as file:  # one row at a time: there may be millions
        yield from ((row["label"], row["answer"]) for row in csv.DictReader(file))


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))
