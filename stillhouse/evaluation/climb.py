"""Whether a size of the student is good enough: the gate's conditions on quality, before compression.

Limits on megabytes and milliseconds are not among them: a larger student cannot meet them where a smaller one fails.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

import numpy as np
from datasets import Dataset

from stillhouse.data.splits import label_names, labels_of
from stillhouse.evaluation.candidates import student_candidate, svm_candidate
from stillhouse.evaluation.cases import Case, behaviours, passed_share, read_cases
from stillhouse.evaluation.classes import count_classes
from stillhouse.evaluation.gate import FREE, Verdict, judge
from stillhouse.evaluation.quality import answers_of, differences, quality
from stillhouse.evaluation.reference import reference
from stillhouse.params import Params, Register
from stillhouse.task import TASK

NAME, TEACHER = "student", "teacher"


@dataclass(frozen=True)
class Examination:
    """What each size is judged by.

    Attributes:
        texts: the test texts.
        labels: class numbers that the models are compared with (texts,).
        names: of the classes, by number.
        of_teacher: whether ``labels`` are the teacher's decisions.
        scores: of the teacher and of the models that need no distillation, by name, on the test texts.
        training: number of training texts of each class.
        cases: behavioural tests.
        gate: the limits.
        resamples: of the bootstrap.
        seed: of the bootstrap.
        batch_size: texts at once.
    """

    texts: list[str]
    labels: np.ndarray
    names: list[str]
    of_teacher: bool
    scores: dict[str, np.ndarray]
    training: Sequence[int]
    cases: Sequence[Case]
    gate: Register
    resamples: int
    seed: int
    batch_size: int

    @classmethod
    def of(cls, train: Dataset, test: Dataset, teacher: np.ndarray, control: Path, params: Params) -> "Examination":
        """Prepare it: the control and TF-IDF + SVM predict the test texts.

        Args:
            train: the training split.
            test: the test split.
            teacher: its probabilities for the test texts (texts, classes).
            control: the folder of the control.
            params: ``evaluate``, ``register`` and ``seed`` are read.
        """
        settings, texts, names, seen = params.evaluate, list(test["text"]), label_names(test), labels_of(train)
        labels, of_teacher = reference(test, TASK.decision(teacher))
        free = (
            student_candidate("control", control, settings.batch_size),
            svm_candidate(list(train["text"]), seen, params.seed),
        )
        return cls(
            texts=texts,
            labels=labels,
            names=names,
            of_teacher=of_teacher,
            scores={TEACHER: teacher} | {name: one.predict(texts) for name, one in zip(FREE, free, strict=True)},
            training=np.bincount(seen, minlength=len(label_names(train))).tolist(),
            cases=read_cases(Path(settings.cases), names),
            gate=params.register_,
            resamples=settings.bootstrap,
            seed=params.seed,
            batch_size=settings.batch_size,
        )

    def judge(self, folder: Path) -> Verdict:
        """Judge the trained student in ``folder``."""
        predict = student_candidate(NAME, folder, self.batch_size).predict
        own = predict(self.texts)
        scores = self.scores | {NAME: own}
        found = quality(self.labels, scores, dict.fromkeys(scores, 0), self.resamples, self.seed, self.of_teacher)
        free = [name for name in self.scores if name != TEACHER]
        gaps = differences(self.labels, scores, [(NAME, name) for name in free], self.resamples, self.seed)

        def decide(texts: Sequence[str]) -> np.ndarray:
            decided: np.ndarray = np.array(self.names, dtype=object)[answers_of(predict(texts))]
            return decided

        return judge(
            self.gate.model_copy(update={"max_size_mb": inf, "max_latency_ms": inf}),
            found[NAME],
            found[TEACHER],
            0.0,
            {name: gaps[f"{NAME} - {name}"] for name in free},
            None,
            count_classes(self.labels, answers_of(own), self.names, self.training),
            passed_cases=passed_share(behaviours(self.cases, decide)),
        )
