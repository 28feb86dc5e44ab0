"""Behaviours that a model must show, whatever its accuracy: a user's own texts with what must be answered.

M. T. Ribeiro et al., "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList", ACL 2020, arXiv:2005.04118: a
text with its ``label`` is a minimum functionality test, one with another text in ``same_as`` an invariance test.
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
    """``text`` must be answered with ``label``, or as ``same_as`` is answered; the other is empty."""

    line: int
    text: str
    label: str
    same_as: str


@dataclass(frozen=True)
class Behaviour:
    """A case, what was answered, and what must have been."""

    case: Case
    answer: str
    expected: str

    @property
    def is_kept(self) -> bool:
        """The model does what it must."""
        return self.answer == self.expected


def read_cases(file: Path, names: Sequence[str] | None = None) -> list[Case]:
    """The cases of a CSV file with the columns ``text``, ``label``, ``same_as``.

    Where ``names`` of labels are given, a case for another label is left out, and said so: the file may be older than
    the data.

    Raises:
        BadInput: no such file or column, or a row that has not exactly one of ``label`` and ``same_as``.
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
        raise BadInput(f"evaluate.cases: {file} does not exist. Restore it; a heading alone asks nothing.") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{file} (evaluate.cases) is not UTF-8: {error.reason} at byte {error.start}.") from None
    for case in cases:
        if not case.text or bool(case.label) == bool(case.same_as):
            raise BadInput(f"{file} line {case.line}: a case is a text, and either a label or a text in same_as.")
    known = [case for case in cases if names is None or not case.label or case.label in names]
    if len(known) < len(cases):
        logger.warning(
            "%d cases of %s name a label that the data lacks; they are not checked", len(cases) - len(known), file
        )
    return known


def kept_share(shown: Sequence[Behaviour]) -> float:
    """Share of the behaviours that are kept; 1 where nothing was asked."""
    return sum(one.is_kept for one in shown) / len(shown) if shown else 1.0


def behaviours(cases: Sequence[Case], predict: Callable[[Sequence[str]], np.ndarray]) -> list[Behaviour]:
    """Ask ``predict``, texts to labels (texts,), every case."""
    if not cases:
        return []
    answers = [str(answer) for answer in predict([case.text for case in cases])]
    others = [str(answer) for answer in predict([case.same_as or case.text for case in cases])]
    return [
        Behaviour(case, answer, case.label or other) for case, answer, other in zip(cases, answers, others, strict=True)
    ]
