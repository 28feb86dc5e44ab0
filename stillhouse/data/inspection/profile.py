"""Profiles of the columns of a table: kind, length and number of distinct values, from which columns are chosen."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa

from stillhouse.data.readers import strings
from stillhouse.data.terms import has_unspaced

MOST_DISTINCT = 100_000  # distinct values are counted up to this number, which bounds the memory
SAMPLE_OF_BATCH, SAMPLE = 200, 5_000  # values that show the kind of a column
NEARLY_ALL = 0.9  # share of the sample that must have a form
FORMS = {
    "numbers": re.compile(r"[+-]?[\d.,'\u00a0 ]*\d[\d.,]*(e[+-]?\d+)?\s?[%€$£]?|nan", re.IGNORECASE),
    "dates": re.compile(
        r"\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?([T ]\d.*)?|\d{1,2}[-/. ](\d{1,2}|[^\W\d]{3,9})[-/. ]\d{2,4}([ T,]+\d.*)?"
        r"|\d{1,2}:\d{2}(:\d{2}.*)?"
    ),
    "addresses": re.compile(r"(https?://|www\.)\S+|\S+@\S+\.\w+", re.IGNORECASE),
    "truth values": re.compile(r"true|false", re.IGNORECASE),
}
TEXT, IDS = "text", "one word or id in each row"


@dataclass
class Profile:
    """What the values of a column are.

    Attributes:
        name: of the column.
        is_text: whether the column can be the text: its type is a string.
        has_class_names: whether the source names the classes of this column (a ClassLabel of ``datasets``).
        filled: number of values that are not missing or blank.
        characters: of all values.
        hashes: of the distinct values, at most ``MOST_DISTINCT``.
        sample: some values.
    """

    name: str
    is_text: bool = True
    has_class_names: bool = False
    filled: int = 0
    characters: int = 0
    hashes: set[int] = field(default_factory=set)
    sample: list[str] = field(default_factory=list)

    def add(self, values: list[str | None]) -> None:
        """Add the values of a batch."""
        present = [value.strip() for value in values if value and not value.isspace()]
        self.filled += len(present)
        self.characters += sum(map(len, present))
        if len(self.hashes) < MOST_DISTINCT:
            self.hashes.update(map(hash, present))
        self.sample += present[: min(SAMPLE_OF_BATCH, SAMPLE - len(self.sample))]

    @property
    def distinct(self) -> int:
        """Number of distinct values, at most about ``MOST_DISTINCT``."""
        return len(self.hashes)

    @property
    def mean_length(self) -> float:
        """Mean number of characters of the values."""
        return self.characters / max(1, self.filled)

    @property
    def has_distinct_values(self) -> bool:
        """Whether many values occur once, as texts do and classes do not."""
        return self.distinct >= min(0.3 * self.filled, MOST_DISTINCT)

    @property
    def kind(self) -> str:
        """``text``, or another kind of value that has a form of its own: numbers, dates, addresses, ids."""
        least = NEARLY_ALL * len(self.sample)
        for name, form in FORMS.items():
            if self.sample and sum(bool(form.fullmatch(value)) for value in self.sample) >= least:
                return name
        single = sum(len(value.split()) == 1 and not has_unspaced(value) for value in self.sample)
        return IDS if single >= least and self.distinct >= min(0.9 * self.filled, MOST_DISTINCT) else TEXT

    def __str__(self) -> str:
        if not self.filled:
            return f"{self.name!r}: no values"
        many = "over " if self.distinct >= MOST_DISTINCT else ""
        length = f", {self.mean_length:.0f} characters on average" if self.kind == TEXT else ""
        return f"{self.name!r}: {self.kind}, {many}{self.distinct:,} different of {self.filled:,}{length}"


def profile_columns(
    columns: list[Profile], batches: Iterable[pa.RecordBatch], names: dict[str, list[str]]
) -> list[Profile]:
    """Read all ``batches`` and fill the profiles in. Memory does not grow with the number of rows.

    Args:
        columns: an empty profile for each column of the batches.
        batches: of the table.
        names: for columns with class numbers the names of the classes.
    """
    for batch in batches:
        for column in columns:
            values = batch.column(batch.schema.get_field_index(column.name))
            column.add(strings(values, names.get(column.name)).to_pylist())
    return columns
