"""Collects how delimited text uses quotes and backslashes, to detect its dialect."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from stillhouse.data.readers.records import LETTERS, QUOTE, Dialect, Row, parted

BACKSLASH = "\\"
SPANS = 5  # records of several lines that suffice as evidence


@dataclass
class Evidence:
    """What a reading found in a table. Rows have the numbers of a spreadsheet."""

    quoted: int | None = None  # the first row with a field in quotes
    header_quoted: bool = False
    needless: dict[int, int] = field(default_factory=dict)  # column -> first row with unnecessary quotes
    bare: set[int] = field(default_factory=set)  # columns with an unquoted field
    lines: int = 0  # lines in records of several lines
    whole_lines: int = 0  # those of ``lines`` that have as many fields as the header
    spanning: int = 0  # row of the first record of several lines
    spans: int = 0  # number of records of several lines
    doubled: int = 0  # those of ``spans`` with a doubled quote, which only a quoting writer sets
    follows: set[str] = field(default_factory=set)  # characters after a backslash
    null: bool = False  # whether a field is \N
    quoted_follows: set[str] = field(default_factory=set)  # characters after a backslash within quotes
    bare_pair: int | None = None  # the first row with two backslashes outside of quotes

    def note_lines(self, lines: Iterator[str], raw: list[str], delimiter: str) -> Iterator[str]:
        """Yield ``lines``. Append each to ``raw``, and note the characters after backslashes."""
        for line in lines:
            if BACKSLASH in line:
                self.follows.update(re.findall(r"\\(.)", line, re.DOTALL))
                self.null |= r"\N" in line.rstrip("\r\n").split(delimiter)
            raw.append(line)
            yield line

    def note_record(
        self, number: int, is_header: bool, row: Row, raw: list[str], width: int, dialect: Dialect, end: str
    ) -> None:
        """Note which fields of a record are quoted, and whether each of its lines could be a record."""
        record = "".join(raw)
        if dialect.escape and 2 * dialect.escape in record and not self.bare_pair:
            fields = _fields(parted(record, end, dialect)[0], dialect)
            bare = any(2 * dialect.escape in one for one in fields if not one.startswith(QUOTE))
            self.bare_pair = number if bare else None
        if QUOTE not in record:
            if len(self.bare) < width:
                self.bare.update(column for column, value in enumerate(row) if value)
            return
        for column, (written, value) in enumerate(
            zip(_fields(parted(record, end, dialect)[0], dialect), row, strict=False)
        ):
            if not written.startswith(QUOTE):
                self.bare.update({column} if value else ())
                continue
            self.quoted_follows.update(re.findall(r"\\(.)", written, re.DOTALL))
            if is_header:
                self.header_quoted = True
            else:
                self.quoted = self.quoted or number
                if value and not re.search(f"[{re.escape(dialect.delimiter)}{QUOTE}\r\n]", value):
                    self.needless.setdefault(column, number)
        if len(raw) > 1:
            self.spanning = self.spanning or number
            self.lines += len(raw)
            self.spans += 1
            written_fields = _fields(parted(record, end, dialect)[0], dialect)
            self.doubled += any(2 * QUOTE in one[1:-1] for one in written_fields)
            self.whole_lines += sum(line.count(dialect.delimiter) == width - 1 for line in raw)

    @property
    def surely_quoted(self) -> bool:
        """Whether the header is quoted, or most of at least ``SPANS`` records of several lines have a doubled quote."""
        return self.header_quoted or (self.spans >= SPANS and 2 * self.doubled > self.spans)

    def looks_escaped(self, delimiter: str) -> bool:
        """Whether every backslash can be an escape, and at least one can hardly be anything else."""
        strong = {BACKSLASH, QUOTE, delimiter, "\n", "\r"}
        if self.quoted_follows and self.quoted_follows <= {BACKSLASH, QUOTE}:  # Spark escapes within quotes only
            return True
        return self.follows <= strong | LETTERS.keys() | {"N"} and (self.null or bool(self.follows & strong))


def _fields(record: str, dialect: Dialect) -> Iterator[str]:
    """Yield each field as it is written."""
    pattern, place = _pattern(dialect), 0
    while place <= len(record) and (found := pattern.match(record, place)):
        yield found.group(1)
        if found.group(2) != dialect.delimiter:
            return
        place = found.end()


@cache
def _pattern(dialect: Dialect) -> re.Pattern[str]:
    """Return a pattern of a field and its end."""
    delimiter = re.escape(dialect.delimiter)
    escaped = f"|{re.escape(dialect.escape)}." if dialect.escape else ""
    inner = f'[^"{re.escape(dialect.escape or "")}]'
    return re.compile(f'("(?:{inner}++|""{escaped})*+"|[^{delimiter}]*)({delimiter}|$)', re.DOTALL)
