"""Whether a size of the student is good enough: the gate's conditions on quality, before compression.

Limits on megabytes and milliseconds are not among them: a larger student cannot meet them where a smaller one fails.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from stillhouse.evaluation.cases import Case, behaviours, passed_share
from stillhouse.evaluation.classes import count_classes
from stillhouse.evaluation.gate import Verdict, judge
from stillhouse.evaluation.quality import answers_of, differences, quality
from stillhouse.params import Register

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

    def judge(self, predict: Callable[[Sequence[str]], np.ndarray]) -> Verdict:
        """Judge a student whose ``predict`` returns probabilities (texts, classes)."""
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
