"""Delimited text as records: Python's ``csv`` where fields may be quoted, plain fields with escapes where not.

Rows end as the header does. A carriage return elsewhere is text, and so are the other characters that Python's
``splitlines`` would split at.
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
csv.field_size_limit(100_000_000)  # characters; a longer field is a quote that is left open
HEAD = 1 << 16  # characters in which the first line end is looked for
RETURN = "\ud800"  # stands for a carriage return in text, which csv refuses outside of quotes; no codec decodes to it
NULL = "\ud801"  # the same, for a field that is \\N
# MySQL's LOAD DATA and PostgreSQL's COPY; any other character after the escape stands for itself.
LETTERS = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f", "v": "\v", "Z": "\x1a"}


@dataclass(frozen=True)
class Dialect:
    """How fields are separated and written. ``escape`` is a character, or None."""

    delimiter: str
    quoting: Quoting
    escape: str | None = None

    def __str__(self) -> str:
        shown = "tab" if self.delimiter == "\t" else repr(self.delimiter)
        return f"delimiter {shown}, quoting {self.quoting}" + (f", escape {self.escape!r}" if self.escape else "")


@dataclass(frozen=True)
class Text:
    """A file of text: its encoding, how its lines end, and lines before the header (``sep=;`` of Excel)."""

    file: Path
    encoding: str
    end: Literal["\n", "\r\n", "\r"]
    skipped: int = 0

    def lines(self) -> Iterator[str]:
        """Lines with what ends them; a last line end begins no further line."""
        with self.file.open(encoding=self.encoding, newline="\r" if self.end == "\r" else "\n") as stream:
            for number, line in enumerate(stream):
                if number >= self.skipped:
                    yield line.removeprefix("\ufeff") if number == 0 else line


def parted(line: str, end: str, dialect: Dialect) -> tuple[str, str]:
    """A line, and what ends it.

    Where the header ends in a line feed, a carriage return before one is text, unless it follows a closing quote.
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
    """Find out how lines end (as the first does) and which lines are before the header: blank ones, ``sep=``."""
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
    """The delimiter that Excel's first line ``sep=;`` names."""
    found = re.fullmatch(r'"?sep=([^"\w\s]|\t)"?', line, re.IGNORECASE)
    return found.group(1) if found else None


def rows(lines: Iterator[str], dialect: Dialect, end: str = "\n") -> Iterator[Row]:
    """The fields of each record; ``[]`` for a blank line. Raises csv.Error: quotes are not as they must be."""
    return _quoted(lines, dialect, end) if dialect.quoting == "minimal" else _plain(lines, dialect, end)


def _quoted(lines: Iterator[str], dialect: Dialect, end: str) -> Iterator[Row]:
    escape = dialect.escape
    if escape:
        one, away = re.escape(escape), re.escape(dialect.delimiter)
        # Spark escapes quotes and escapes alone: any other escape character is text.
        single = re.compile(f"({one}[{one}{QUOTE}])|{one}")
        null = re.compile(f"(^|(?<={away})){one}N(?={away}|[\r\n]|$)")

    marked = False

    def prepared() -> Iterator[str]:
        nonlocal marked
        for line in lines:
            marked |= "\r" in line or bool(escape)
            if escape and escape in line:
                line = single.sub(lambda found: found.group(1) or 2 * found.group(), null.sub(NULL, line))
            if "\r" in line and end != "\r":
                text, own = parted(line, end, dialect)
                line = text.replace("\r", RETURN) + own
            yield line

    for row in csv.reader(prepared(), delimiter=dialect.delimiter, escapechar=escape, strict=True):
        if marked:
            row = [field.replace(RETURN, "\r") for field in row]
        if escape and any(NULL in field for field in row):  # within quotes it is text
            yield [None if field == NULL else field.replace(NULL, f"{escape}N") for field in row]
        else:
            yield cast(Row, row)


def _plain(lines: Iterator[str], dialect: Dialect, end: str) -> Iterator[Row]:
    delimiter, escape = dialect.delimiter, dialect.escape
    parts = re.compile(f"{re.escape(escape)}.|{re.escape(delimiter)}", re.DOTALL) if escape else None
    held = ""
    for line in lines:
        text, own = parted(line, end, dialect)
        if parts is None or escape is None:
            yield cast(Row, text.split(delimiter)) if text else []
            continue
        held += text
        if (len(held) - len(held.rstrip(escape))) % 2:  # the line end is escaped: it is text
            held += own
            continue
        yield _unescaped(held, delimiter, escape, parts) if held else []
        held = ""
    if held:
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
    """The first record; fields as they stand where quotes are not as they must be."""
    try:
        return next(rows(text.lines(), dialect, text.end), [])
    except csv.Error:
        return list(next(islice(text.lines(), 1), "").split(dialect.delimiter))
