"""Splits delimited text into records: with Python's ``csv`` if fields may be quoted, else at every delimiter.

All rows have the line end of the header. A carriage return elsewhere is text, and so are the other characters at which
Python's ``splitlines`` splits.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, cast

Row = list[str | None]
Quoting = Literal["minimal", "none"]
QUOTE = '"'
csv.field_size_limit(100_000_000)  # characters; a longer field has a quote that is not closed
HEAD = 1 << 16  # characters that are searched for the first line end
RETURN = "\ud800"  # replaces a carriage return in text, which csv refuses outside of quotes; no codec yields it
NULL = "\ud801"  # replaces a field that is \\N
# MySQL's LOAD DATA and PostgreSQL's COPY; any other character after the escape is itself.
LETTERS = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f", "v": "\v", "Z": "\x1a"}


@dataclass(frozen=True)
class Dialect:
    """Delimiter, quoting and escape of a table. ``escape`` is a character, or None."""

    delimiter: str
    quoting: Quoting
    escape: str | None = None

    def __str__(self) -> str:
        shown = "tab" if self.delimiter == "\t" else repr(self.delimiter)
        return f"delimiter {shown}, quoting {self.quoting}" + (f", escape {self.escape!r}" if self.escape else "")


@dataclass(frozen=True)
class Text:
    """A text file: its encoding, its line end, and the number of lines before the header (``sep=;`` of Excel)."""

    file: Path
    encoding: str
    end: Literal["\n", "\r\n", "\r"]
    skipped: int = 0

    def lines(self) -> Iterator[str]:
        """Yield the lines with their line ends. A line end at the end of the file does not begin another line."""
        with self.file.open(encoding=self.encoding, newline="\r" if self.end == "\r" else "\n") as stream:
            for number, line in enumerate(stream):
                if number >= self.skipped:
                    yield line.removeprefix("\ufeff") if number == 0 else line


def parted(line: str, end: str, dialect: Dialect) -> tuple[str, str]:
    """Split a line into its text and its line end.

    If the header ends with a line feed, a carriage return before a line feed is text. After a closing quote it is part
    of the line end.
    """
    closed = dialect.quoting == "minimal" and line.endswith(QUOTE + "\r\n")
    if closed and dialect.escape:
        closed = not line.endswith(dialect.escape + QUOTE + "\r\n")
    if line.endswith("\r\n") and (end == "\r\n" or closed):
        return line[:-2], "\r\n"
    if line.endswith("\n") or (end == "\r" and line.endswith("\r")):
        return line[:-1], line[-1]
    return line, ""


def open_text(file: Path, encoding: str) -> Text:
    """Find the line end (that of the first line) and the lines before the header: blank ones, ``sep=``."""
    with file.open(encoding=encoding, newline="") as stream:
        head = stream.read(HEAD).removeprefix("\ufeff")
        while head and "\n" not in head and (more := stream.read(HEAD)):
            head += more
    first = head.partition("\n")[0]
    end: Literal["\n", "\r\n", "\r"] = "\r\n" if first.endswith("\r") else "\n"
    if "\n" not in head and "\r" in head:
        end = "\r"
    lines = [line.rstrip("\r") for line in head.split("\r" if end == "\r" else "\n")]
    blank = next((number for number, line in enumerate(lines) if line), 0)
    return Text(file, encoding, end, blank + (1 if separator(lines[blank]) else 0))


def separator(line: str) -> str | None:
    """Return the delimiter of Excel's first line ``sep=;``, or None."""
    found = re.fullmatch(r'"?sep=([^"\w\s]|\t)"?', line, re.IGNORECASE)
    return found.group(1) if found else None


def rows(lines: Iterator[str], dialect: Dialect, end: str = "\n") -> Iterator[Row]:
    """Yield the fields of each record; ``[]`` for a blank line. Raises csv.Error: a quote is in a wrong place."""
    return _quoted(lines, dialect, end) if dialect.quoting == "minimal" else _plain(lines, dialect, end)


def _quoted(lines: Iterator[str], dialect: Dialect, end: str) -> Iterator[Row]:
    escape = dialect.escape
    if escape:
        escape_re, delimiter_re = re.escape(escape), re.escape(dialect.delimiter)
        # Spark escapes only quotes and escapes: before another character the escape is text.
        single = re.compile(f"({escape_re}[{escape_re}{QUOTE}])|{escape_re}")
        null = re.compile(f"(^|(?<={delimiter_re})){escape_re}N(?={delimiter_re}|[\r\n]|$)")

    marked = False

    def prepared() -> Iterator[str]:
        nonlocal marked
        for line in lines:
            marked |= "\r" in line or bool(escape)
            if escape and escape in line:
                line = single.sub(lambda found: found.group(1) or 2 * found.group(), null.sub(NULL, line))
            if "\r" in line and end != "\r":
                text, line_end = parted(line, end, dialect)
                line = text.replace("\r", RETURN) + line_end
            yield line

    for row in csv.reader(prepared(), delimiter=dialect.delimiter, escapechar=escape, strict=True):
        if marked:
            row = [field.replace(RETURN, "\r") for field in row]
        if escape and any(NULL in field for field in row):  # within quotes \N is text
            yield [None if field == NULL else field.replace(NULL, f"{escape}N") for field in row]
        else:
            yield cast(Row, row)


def _plain(lines: Iterator[str], dialect: Dialect, end: str) -> Iterator[Row]:
    delimiter, escape = dialect.delimiter, dialect.escape
    parts = re.compile(f"{re.escape(escape)}.|{re.escape(delimiter)}", re.DOTALL) if escape else None
    record = ""
    for line in lines:
        text, line_end = parted(line, end, dialect)
        if parts is None or escape is None:
            yield cast(Row, text.split(delimiter)) if text else []
            continue
        record += text
        if (len(record) - len(record.rstrip(escape))) % 2:  # an escaped line end is text
            record += line_end
            continue
        yield _unescaped(record, delimiter, escape, parts) if record else []
        record = ""
    if record:
        raise csv.Error("the file ends with an escape character")


def _unescaped(record: str, delimiter: str, escape: str, parts: re.Pattern[str]) -> Row:
    if escape not in record:
        return list(record.split(delimiter))
    fields, start = [], 0
    for part in parts.finditer(record):
        if part.group() == delimiter:
            fields.append(record[start : part.start()])
            start = part.end()
    fields.append(record[start:])
    return [None if field == escape + "N" else _text(field, escape) for field in fields]


def _text(field: str, escape: str) -> str:
    if escape not in field:
        return field
    return re.sub(
        re.escape(escape) + "(.)",
        lambda found: LETTERS.get(found.group(1), found.group(1)),
        field,
        flags=re.DOTALL,
    )


def header(text: Text, dialect: Dialect) -> Row:
    """Return the first record. If a quote is in a wrong place, split the line at every delimiter."""
    try:
        return next(rows(text.lines(), dialect, text.end), [])
    except csv.Error:
        return list(next(islice(text.lines(), 1), "").split(dialect.delimiter))
