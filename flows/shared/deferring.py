"""What ``score`` does with deferred texts, and the texts that it sets apart for an audit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flows.shared.labeller import ADDED
from flows.shared.registered import PARAMS
from stillhouse.data.keys import text_key, uniform_hash
from stillhouse.errors import BadInput
from stillhouse.labelling.second import PEOPLE, TEACHER, LanguageModelAnswers, People, Second, TeacherModel
from stillhouse.labelling.sheet import COLUMNS, write_sheet
from stillhouse.params import load_params
from stillhouse.pipeline.artefacts import path, split
from stillhouse.serving.answers import Answers

STUDENT = "student"
LABEL = "label"  # the section of the language model
AUDIT_COLUMNS = (*COLUMNS, "model", "labelled_by")
ASIDE = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "text", "label", "guess")),
        *(("probability", pa.float32()), ("deferred", pa.bool_()), ("audited", pa.bool_())),
    ]
)


@dataclass(frozen=True)
class Handling:
    """What is done with the texts of a table.

    Attributes:
        second: answers the deferred texts; None: the student's answer remains.
        auditor: answers the texts that are drawn for an audit; None: no text is drawn.
        audit: share of the texts that are drawn, 0 to 1. The same texts are drawn in every run.
    """

    second: Second | None = None
    auditor: Second | None = None
    audit: float = 0.0

    @property
    def added(self) -> pa.Schema:
        """The columns that are added to the table."""
        fields = list(ADDED)
        fields += [pa.field("answered_by", pa.string())] if self.second else []
        fields += [pa.field("audited", pa.bool_())] if self.auditor else []
        return pa.schema(fields)

    @property
    def people(self) -> People | None:
        """The people who answer the deferred texts; None if nobody or a model does."""
        return self.second if isinstance(self.second, People) else None

    @property
    def identity(self) -> dict[str, object]:
        """All that the result depends on, beside student and table."""
        named = {"second": self.second, "auditor": self.auditor}
        return {"audit": self.audit} | {key: one and f"{one.name} {one.identity}" for key, one in named.items()}

    def prepare(self, classes: Sequence[str]) -> None:
        """Load the models. Raises BadInput if they do not have the student's ``classes``."""
        for one in {id(one): one for one in (self.second, self.auditor) if one}.values():
            one.prepare(classes)

    def columns(self, texts: Sequence[str], answers: Answers) -> tuple[pa.Table, pa.Table]:
        """Return the added columns, and the texts that are set apart (``ASIDE``).

        Args:
            texts: the texts.
            answers: of the student.
        """
        labels, sure = answers.labels.copy(), answers.probabilities.copy()
        by = np.full(len(texts), STUDENT, object)
        rows = np.flatnonzero(answers.deferred)
        if self.second and len(rows):
            replies = self.second.answer([texts[row] for row in rows.tolist()])
            taken = np.array([self.second.waits or label is not None for label in replies.labels])
            labels[rows[taken]], sure[rows[taken]] = replies.labels[taken], replies.probabilities[taken]
            by[rows[taken]] = self.second.name
        drawn = np.zeros(len(texts), bool)
        if self.auditor:
            drawn[:] = [uniform_hash(text, 0, "audit") < self.audit for text in texts]
        values = {"label": labels, "probability": sure, "deferred": answers.deferred, "answered_by": by}
        values["audited"] = drawn
        added = self.added
        arrays = [pa.array(values[field.name], field.type, from_pandas=True) for field in added]  # NaN is null
        return pa.table(arrays, schema=added), self._aside(texts, answers, drawn)

    def _aside(self, texts: Sequence[str], answers: Answers, drawn: np.ndarray) -> pa.Table:
        rows = np.flatnonzero(drawn | answers.deferred if self.people else drawn)
        labels = np.full(len(texts), None, object)
        if self.auditor and drawn.any():
            labels[drawn] = self.auditor.answer([texts[row] for row in np.flatnonzero(drawn).tolist()]).labels
        ids = [text_key(texts[row]).hex() for row in rows.tolist()]
        chosen = [answers.labels[rows], answers.probabilities[rows], answers.deferred[rows], drawn[rows]]
        columns = [ids, [texts[row] for row in rows.tolist()], labels[rows], *chosen]
        return pa.table([pa.array(column, field.type) for column, field in zip(columns, ASIDE, strict=True)], ASIDE)


def handling_of(defer_to: str, audit: float, audit_by: str, target: Path) -> Handling:
    """Return what the options demand.

    Args:
        defer_to: ``teacher``, ``label`` (the language model of the section ``label``), a CSV file for people, or empty.
        audit: share of the texts to audit.
        audit_by: ``people`` or ``teacher``.
        target: the file that ``score`` writes.

    Raises:
        BadInput: an option is wrong, or what it names is missing.
    """
    if not 0 <= audit <= 1:
        raise BadInput(f"--audit is {audit:g}; it must be from 0 to 1.")
    if audit_by not in (PEOPLE, TEACHER):
        raise BadInput(f"--audit-by is {audit_by!r}; it must be {PEOPLE} or {TEACHER}.")
    second = _second(defer_to, target)
    if not audit:
        return Handling(second)
    if audit_by == PEOPLE:
        return Handling(second, People(audit_file(target)), audit)
    return Handling(second, second if isinstance(second, TeacherModel) else teacher_model("--audit-by teacher"), audit)


def _second(defer_to: str, target: Path) -> Second | None:
    if not defer_to:
        return None
    if defer_to == TEACHER:
        return teacher_model("--defer-to teacher")
    if defer_to == LABEL:
        _check_project("--defer-to label")
        return LanguageModelAnswers(load_params(), split("train"))
    file = Path(defer_to)
    if file.suffix.lower() != ".csv":
        raise BadInput(f"--defer-to is {defer_to!r}; it must be teacher, label, or a file that ends in .csv.")
    if file.resolve() in (target.resolve(), audit_file(target).resolve()):
        raise BadInput(f"--defer-to is {file}, which this command writes already. Name another file.")
    if not file.parent.is_dir():
        raise BadInput(f"The folder {file.parent.resolve()} does not exist. Make it, or name a file elsewhere.")
    return People(file)


def teacher_model(option: str) -> TeacherModel:
    """Return the teacher of the project. Raises BadInput, which names ``option``, if there is none."""
    _check_project(option)
    return TeacherModel(path("teacher/model"), path("teacher/others"), split("train"), load_params())


def _check_project(option: str) -> None:
    if not PARAMS.is_file():
        raise BadInput(f"There is no {PARAMS} in {Path.cwd()}. {option} works in a project's folder.")


def audit_file(target: Path, by: str = PEOPLE) -> Path:
    """Return the CSV file for the texts of an audit: ``<target>.audit.csv``, or that of the teacher."""
    return target.with_name(f"{target.name}.audit.csv" if by == PEOPLE else f"{target.name}.audit.{by}.csv")


def write_sheets(handling: Handling, parts: Sequence[Path], target: Path, model: str) -> dict[str, int]:
    """Write the texts for people and for the audit, each once. Labels that people filled in before remain.

    Args:
        handling: of the run.
        parts: Parquet files with the columns of ``ASIDE``.
        target: the file that ``score`` writes.
        model: the address of the student, for ``stillhouse audit``.

    Returns:
        The number of texts without a label in each file. A file without any text is not written.

    Raises:
        BadInput: a file has labels of other texts, which would be lost.
    """
    files: dict[str, int] = {}
    if handling.people:
        known = {key.hex(): label for key, label in handling.people.labels.items()}
        rows = [[*row[:2], known.get(row[0], ""), *row[3:]] for row in _rows(parts, "deferred")]
        _write(handling.people, handling.people.file, rows, COLUMNS, files)
    if handling.auditor:
        by = handling.auditor.name
        rows = [[*row, model, by] for row in _rows(parts, "audited")]
        _write(handling.auditor, audit_file(target, by), rows, AUDIT_COLUMNS, files)
    return files


def _rows(parts: Sequence[Path], kind: str) -> Iterator[list[str]]:
    """Yield id, text, label, guess and probability of the texts of this kind, each text once."""
    seen = set()
    for part in parts:
        for row in pq.read_table(part).to_pylist():
            if row[kind] and row["id"] not in seen:
                seen.add(row["id"])
                yield [row["id"], row["text"], row["label"] or "", row["guess"], f"{row['probability']:.9g}"]


def _write(second: Second, file: Path, rows: list[list[str]], columns: Sequence[str], files: dict[str, int]) -> None:
    lost = set(second.labels) - {bytes.fromhex(row[0]) for row in rows} if isinstance(second, People) else ()
    if lost:
        raise BadInput(
            f"{file} has labels of {len(lost)} other texts, which would be lost. Move it and run this again."
        )
    if rows:
        write_sheet(file, rows, columns)
        files[str(file)] = sum(not row[2] for row in rows)
