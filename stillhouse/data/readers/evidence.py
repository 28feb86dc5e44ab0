"""What a reading of delimited text shows about how the file was written: quotes and backslashes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from stillhouse.data.readers.records import LETTERS, QUOTE, Dialect, Row, parted

BACKSLASH = "\\"


@dataclass
class Evidence:
    """What a reading shows about how the table was written; rows are numbered as a spreadsheet does."""

    quoted: int | None = None  # the first row with a field in quotes
    header_quoted: bool = False
    needless: dict[int, int] = field(default_factory=dict)  # column -> first row quoted without need
    bare: set[int] = field(default_factory=set)  # columns with a field that is not quoted
    lines: int = 0  # in records of several lines
    whole_lines: int = 0  # of these, how many alone have as many fields as the header
    spanning: int = 0  # the first record of several lines
    follows: set[str] = field(default_factory=set)  # characters after a backslash
    null: bool = False  # a field is \N
    quoted_follows: set[str] = field(default_factory=set)  # the same within quotes
    bare_pair: int | None = None  # the first row with two backslashes outside of quotes

    def watch(self, lines: Iterator[str], held: list[str], delimiter: str) -> Iterator[str]:
        """Pass ``lines`` on, and note them in ``held`` and what follows backslashes in them."""
        for line in lines:
            if BACKSLASH in line:
                self.follows.update(re.findall(r"\\(.)", line, re.DOTALL))
                self.null |= r"\N" in line.rstrip("\r\n").split(delimiter)
            held.append(line)
            yield line

    def look(
        self, number: int, is_header: bool, row: Row, held: list[str], width: int, dialect: Dialect, end: str
    ) -> None:
        """Note which fields of a record are quoted, and what its lines are alone."""
        raw = "".join(held)
        if dialect.escape and 2 * dialect.escape in raw and not self.bare_pair:
            fields = _fields(parted(raw, end, dialect)[0], dialect)
            bare = any(2 * dialect.escape in one for one in fields if not one.startswith(QUOTE))
            self.bare_pair = number if bare else None
        if QUOTE not in raw:
            if len(self.bare) < width:
                self.bare.update(column for column, value in enumerate(row) if value)
            return
        for column, (written, value) in enumerate(
            zip(_fields(parted(raw, end, dialect)[0], dialect), row, strict=False)
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
        if len(held) > 1:
            self.spanning = self.spanning or number
            self.lines += len(held)
            self.whole_lines += sum(line.count(dialect.delimiter) == width - 1 for line in held)

    def looks_escaped(self, delimiter: str) -> bool:
        """Each backslash stands where an escape may, and one where little else than an escape does."""
        strong = {BACKSLASH, QUOTE, delimiter, "\n", "\r"}
        if self.quoted_follows and self.quoted_follows <= {BACKSLASH, QUOTE}:  # Spark's, outside of quotes, are text
            return True
        return self.follows <= strong | LETTERS.keys() | {"N"} and (self.null or bool(self.follows & strong))


def _fields(record: str, dialect: Dialect) -> Iterator[str]:
    """Each field as it is written."""
    away, place = re.escape(dialect.delimiter), 0
    one = f"|{re.escape(dialect.escape)}." if dialect.escape else ""
    inner = f'[^"{re.escape(dialect.escape or "")}]'
    pattern = re.compile(f'("(?:{inner}+|""{one})*"|[^{away}]*)({away}|$)', re.DOTALL)
    while place <= len(record) and (found := pattern.match(record, place)):
        yield found.group(1)
        if found.group(2) != dialect.delimiter:
            return
        place = found.end()
