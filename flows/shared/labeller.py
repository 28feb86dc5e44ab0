"""Adds a student's answers to a table. It imports little, because every worker of a cluster loads it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from stillhouse.serving.classifier import Classifier

if TYPE_CHECKING:  # it loads teachers and language models
    from flows.shared.deferring import Handling

ADDED = pa.schema([("label", pa.string()), ("probability", pa.float32()), ("deferred", pa.bool_())])


@dataclass(frozen=True)
class Labeller:
    """Labels tables with a student.

    Attributes:
        classifier: the student.
        column: the column with the texts. Null is an empty text.
        least: a text whose probability is lower is deferred; None: the threshold of the model, if any.
        handling: what is done with deferred texts; None: the student's answer remains.
    """

    classifier: Classifier
    column: str
    least: float | None = None
    handling: "Handling | None" = None

    def __call__(self, table: pa.Table) -> pa.Table:
        """Return the table with the added columns (``ADDED``, and those of ``handling``)."""
        return self.with_aside(table)[0]

    def with_aside(self, table: pa.Table) -> tuple[pa.Table, pa.Table | None]:
        """Return the table with the added columns, and the texts that ``handling`` sets apart (``ASIDE``)."""
        column = table[self.column]
        texts = column.to_pylist()
        if column.null_count:
            texts = ["" if text is None else text for text in texts]
        answers, aside = self.classifier.answer(texts, self.least), None
        if self.handling:
            added, aside = self.handling.columns(texts, answers)
        else:
            values = (answers.labels, answers.probabilities, answers.deferred)
            arrays = [pa.array(value, field.type) for value, field in zip(values, ADDED, strict=True)]
            added = pa.table(arrays, schema=ADDED)
        for field in added.schema:
            table = table.append_column(field, added[field.name])
        return table, aside
