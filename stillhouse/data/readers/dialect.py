"""Which delimiter, quoting and escape a table of text is written with; refused where two readings differ in rows."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stillhouse.data.readers.evidence import BACKSLASH, Evidence
from stillhouse.data.readers.records import QUOTE, Dialect, Quoting, Row, Text, header, rows, separator
from stillhouse.data.readers.wanted import Wanted
from stillhouse.errors import BadInput

QUOTED_BACKSLASH = "'\\'"  # the same in YAML and in a shell

AUTO = "auto"
DELIMITERS = (",", ";", "\t", "|")
BY_NAME = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": "\t"}


def find_delimiter(text: Text, wanted: Wanted) -> str:
    """The delimiter that is set, that Excel's ``sep=`` names, or under which the header has the columns.

    Where several do, the one of the file's ending. Where none does, the one that gives the most columns.
    """
    if wanted.format.delimiter != AUTO:
        return wanted.format.delimiter
    if text.skipped and (named := separator(_first(text))):
        return named
    usual = BY_NAME.get(text.file.suffix.lower(), ",")
    order = sorted(DELIMITERS, key=lambda one: one != usual)
    headers = {one: header(text, Dialect(one, "minimal")) for one in order}
    fitting = [one for one in order if set(wanted.columns.values()) <= set(headers[one])]
    return fitting[0] if fitting else max(order, key=lambda one: len(headers[one]))


def _first(text: Text) -> str:
    return next(Text(text.file, text.encoding, text.end).lines(), "").strip()


@dataclass
class Reading:
    """A dialect tried on whole files: data rows and blank lines, or why it does not fit."""

    dialect: Dialect
    rows: int = 0
    blank: int = 0
    fault: str | None = None


def read_records(text: Text, dialect: Dialect) -> Iterator[Row]:
    """Header and records, each with as many fields; blank lines are left out unless there is but one column.

    Raises:
        BadInput: a record has another number of fields, or quotes are not as they must be.
    """
    yield from (row for row in _checked(text, text.lines(), dialect, BadInput) if row)


def _checked(text: Text, lines: Iterator[str], dialect: Dialect, fail: Callable[[str], Exception]) -> Iterator[Row]:
    width, number = 0, text.skipped
    try:
        for number, row in enumerate(rows(lines, dialect, text.end), start=1 + text.skipped):
            if not width:
                width = len(row)
            elif not row:
                row = [""] if width == 1 else []  # a blank line is an empty text where there is nothing beside it
            elif len(row) != width:
                shown = dialect.delimiter.join(value or "" for value in row)[:80]
                remedy = "A row may be broken in two there: a text with a line break must stand in double quotes."
                if len(row) > width:
                    remedy = f"A text that holds {dialect.delimiter!r} must stand in double quotes."
                raise fail(
                    f"{text.file} row {number} has {len(row)} field{'s'[: len(row) != 1]}, the header {width}: "
                    f"{shown!r} ({dialect}). {remedy}"
                )
            yield row
    except csv.Error as error:
        what = "Is a quote left open?" if dialect.quoting == "minimal" else ""
        raise fail(
            f"{text.file} cannot be read as CSV after row {number} ({dialect}): {error}. {what}".strip()
        ) from None


class _Unfit(Exception):
    """A dialect does not fit."""


def _try(texts: list[Text], dialect: Dialect, evidence: Evidence) -> Reading:
    """Read all files, noting what they show."""
    reading = Reading(dialect)
    for text in texts:
        held: list[str] = []
        lines, width = evidence.watch(text.lines(), held, dialect.delimiter), 0
        try:
            for number, row in enumerate(_checked(text, lines, dialect, _Unfit), start=1 + text.skipped):
                width = width or len(row)
                if dialect.quoting == "minimal":
                    evidence.look(number, number == 1 + text.skipped, row, held, width, dialect, text.end)
                held.clear()
                reading.blank += not row
                reading.rows += bool(row)
        except _Unfit as error:
            reading.fault = reading.fault or str(error)
            for _ in lines:  # the other lines are evidence, too
                held.clear()
        reading.rows -= 1  # the header
    return reading


def find_dialect(texts: list[Text], wanted: Wanted, delimiter: str) -> Reading:
    """The dialect in which all ``texts`` are written, each with a header.

    Quotes: where the table can be read with and without quoting, fields in quotes are read as such, unless the two
    readings differ in rows, or (in a file with tabs, whose texts often begin and end in quotes) the quotes are not as
    a writer would set them. Backslashes are escapes where the table cannot be read otherwise.

    Raises:
        BadInput: no reading fits, or two do and differ; it names row and setting.
    """
    asked, evidence = wanted.format, Evidence()
    quotings: tuple[Quoting, ...] = ("minimal", "none") if asked.quoting == "auto" else (asked.quoting,)
    escape = BACKSLASH if asked.escape == AUTO else asked.escape
    plain = [] if asked.escape not in (AUTO, None) else [_try(texts, Dialect(delimiter, quotings[0]), evidence)]
    if plain and len(quotings) == 2 and (plain[0].fault or evidence.quoted or evidence.spanning):
        plain.append(_try(texts, Dialect(delimiter, "none"), evidence))
    fitting = [reading for reading in plain if not reading.fault]
    if len(quotings) == 2:
        _refuse_doubt(texts[0], fitting, evidence, wanted)
    escaped, seen = list[Reading](), Evidence()
    if asked.escape not in (AUTO, None) or (
        asked.escape == AUTO
        and evidence.follows
        and (not fitting or evidence.looks_escaped(delimiter) or (plain[0].fault and QUOTE in evidence.follows))
    ):
        escaped = [_try(texts, Dialect(delimiter, quoting, escape), seen) for quoting in quotings]
    clean = [reading for reading in escaped if not reading.fault]
    if fitting and clean:
        raise BadInput(
            f"{texts[0].file}: backslashes may be text or escapes. Set {wanted.set('escape', 'null')} if they are "
            f"text, {wanted.set('escape', QUOTED_BACKSLASH)} if they are escapes (MySQL, Spark)."
        )
    if clean and not fitting:
        return _of_escaped(texts, clean, seen, wanted)
    if fitting:
        return fitting[0]
    raise BadInput(_unreadable([*plain, *escaped], wanted))


def _refuse_doubt(text: Text, fitting: list[Reading], evidence: Evidence, wanted: Wanted) -> None:
    """Raise BadInput where quotes may as well be text as quoting."""
    if not fitting or fitting[0].dialect.quoting != "minimal" or evidence.surely_quoted:
        return
    both = len(fitting) == 2
    either = (
        f"Set {wanted.set('quoting', 'none')} if the quotes are part of the texts, or "
        f"{wanted.set('quoting', 'minimal')} if they enclose fields."
    )
    if 2 * evidence.whole_lines > evidence.lines or (both and fitting[0].rows != fitting[1].rows):
        counts = f" ({fitting[1].rows:,} rows without quoting, {fitting[0].rows:,} with it)" if both else ""
        raise BadInput(
            f"{text.file} row {evidence.spanning}: a double quote begins a field that ends in a later line, but each "
            f"line alone is a row, too{counts}. {either}"
        )
    doubtful = [row for column, row in evidence.needless.items() if column in evidence.bare]
    if both and doubtful and fitting[0].dialect.delimiter == "\t":
        raise BadInput(
            f"{text.file} row {min(doubtful)}: a field is in double quotes without need, while others of its column "
            f"are not. {either}"
        )


def _of_escaped(texts: list[Text], clean: list[Reading], evidence: Evidence, wanted: Wanted) -> Reading:
    """Of readings with an escape, that with quoting unless no field is in quotes. Raises BadInput: rows differ."""
    if len(clean) == 2:
        if evidence.quoted is None and not evidence.spanning and not evidence.header_quoted:
            return clean[1]
        if clean[0].rows != clean[1].rows:
            _refuse_doubt(texts[0], clean, evidence, wanted)
    if clean[0].dialect.quoting == "minimal" and evidence.bare_pair and wanted.format.escape == AUTO:
        raise BadInput(
            f"{texts[0].file} row {evidence.bare_pair}: two backslashes outside of quotes are two to Spark, and one to "
            f"others. Set {wanted.set('escape', QUOTED_BACKSLASH)} if they are one, or write the file with all in "
            "quotes."
        )
    return clean[0]


def _unreadable(readings: list[Reading], wanted: Wanted) -> str:
    """Why the first reading does not fit, and the second where it is of another kind."""
    told = str(readings[0].fault)
    if "cannot be read" in told and wanted.format.quoting == AUTO:
        other = next((one.fault for one in readings if one.dialect.quoting == "none"), None)
        told += f" Without quoting: {other}" if other else ""
    return f"{told} Settings: {wanted.key('delimiter')}, {wanted.key('quoting')}, {wanted.key('escape')}."
