"""Behavioural tests of a model: a user's own texts with the predictions that they must get.

M. T. Ribeiro et al., "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList", ACL 2020, arXiv:2005.04118. A
text with a ``label`` is a minimum functionality test. A text with another text in ``same_as`` is an invariance test.
"""

import csv
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stillhouse.errors import BadInput

logger = logging.getLogger(__name__)

COLUMNS = ("text", "label", "same_as")


@dataclass(frozen=True)
class Case:
    """A test: ``text`` must get the label ``label``, or the same label as the text ``same_as``; the other is empty."""

    line: int
    text: str
    label: str
    same_as: str


@dataclass(frozen=True)
class Behaviour:
    """A case with the model's prediction (``answer``) and the required one (``expected``)."""

    case: Case
    answer: str
    expected: str

    @property
    def passed(self) -> bool:
        """Whether the prediction is the required one."""
        return self.answer == self.expected


def read_cases(file: Path, names: Sequence[str] | None = None) -> list[Case]:
    """Read the cases of a CSV file with the columns ``text``, ``label``, ``same_as``.

    Args:
        file: the CSV file.
        names: of the classes. A case with another label is left out with a warning, because the file may be older than
            the data. With None all cases are returned.

    Raises:
        BadInput: the file or a column is missing, or a row does not have exactly one of ``label`` and ``same_as``.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as table:
            reader = csv.DictReader(table)
            if missing := [name for name in COLUMNS if name not in (reader.fieldnames or [])]:
                raise BadInput(
                    f"{file} (evaluate.cases) has no column {', '.join(missing)}; it needs {', '.join(COLUMNS)}."
                )
            cases = [Case(reader.line_num, *((row[name] or "").strip() for name in COLUMNS)) for row in reader]
    except FileNotFoundError:
        raise BadInput(
            f"evaluate.cases: {file} does not exist. Restore it; a file with a heading alone has no cases."
        ) from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{file} (evaluate.cases) is not UTF-8: {error.reason} at byte {error.start}.") from None
    for case in cases:
        if not case.text or bool(case.label) == bool(case.same_as):
            raise BadInput(f"{file} line {case.line}: a case has a text, and either a label or a text in same_as.")
    known = [case for case in cases if names is None or not case.label or case.label in names]
    if len(known) < len(cases):
        logger.warning(
            "%d cases of %s have a label that is not in the data; they are not checked", len(cases) - len(known), file
        )
    return known


def passed_share(shown: Sequence[Behaviour]) -> float:
    """Share of the cases that the model passes, 0 to 1; 1 if there are no cases."""
    return sum(behaviour.passed for behaviour in shown) / len(shown) if shown else 1.0


def behaviours(cases: Sequence[Case], predict: Callable[[Sequence[str]], np.ndarray]) -> list[Behaviour]:
    """Run every case; ``predict`` returns the label of each text, ``(texts,)``."""
    if not cases:
        return []
    answers = [str(answer) for answer in predict([case.text for case in cases])]
    others = [str(answer) for answer in predict([case.same_as or case.text for case in cases])]
    return [
        Behaviour(case, answer, case.label or other) for case, answer, other in zip(cases, answers, others, strict=True)
    ]
