"""Detects delimiter, quoting and escape of delimited text. Refuses a file if two readings differ in their rows."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stillhouse.data.readers.evidence import BACKSLASH, Evidence
from stillhouse.data.readers.records import QUOTE, Dialect, Quoting, Row, Text, header, rows, separator
from stillhouse.data.readers.wanted import Wanted
from stillhouse.errors import BadInput

QUOTED_BACKSLASH = "'\\'"  # valid in YAML and in a shell

AUTO = "auto"
DELIMITERS = (",", ";", "\t", "|")
BY_NAME = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": "\t"}


def find_delimiter(text: Text, wanted: Wanted) -> str:
    """Return the delimiter: as set, as in Excel's line ``sep=``, or as detected.

    A delimiter fits if the header then has all wanted columns. If several fit, the one that is usual for the file's
    suffix comes first. If none fits, the function returns the one that gives the most columns.
    """
    if wanted.format.delimiter != AUTO:
        return wanted.format.delimiter
    if text.skipped and (named := separator(_first(text))):
        return named
    usual = BY_NAME.get(text.file.suffix.lower(), ",")
    order = sorted(DELIMITERS, key=lambda one: one != usual)
    headers = {one: header(text, Dialect(one, "minimal")) for one in order}
    fits = [one for one in order if set(wanted.columns.values()) <= set(headers[one])]
    return fits[0] if fits else max(order, key=lambda one: len(headers[one]))


def _first(text: Text) -> str:
    return next(Text(text.file, text.encoding, text.end).lines(), "").strip()


@dataclass
class Reading:
    """The result of reading whole files in a dialect: data rows and blank lines, or the fault that ended it."""

    dialect: Dialect
    rows: int = 0
    blank: int = 0
    fault: str | None = None


def read_records(text: Text, dialect: Dialect) -> Iterator[Row]:
    """Yield the header and the records, all with the same number of fields.

    Blank lines are skipped, unless the table has one column.

    Raises:
        BadInput: a record has another number of fields, or a quote is in a wrong place.
    """
    yield from (row for row in _checked(text, text.lines(), dialect, BadInput) if row)


def _checked(text: Text, lines: Iterator[str], dialect: Dialect, fail: Callable[[str], Exception]) -> Iterator[Row]:
    width, number = 0, text.skipped
    try:
        for number, row in enumerate(rows(lines, dialect, text.end), start=1 + text.skipped):
            if not width:
                width = len(row)
            elif not row:
                row = [""] if width == 1 else []  # in a table of one column a blank line is an empty text
            elif len(row) != width:
                shown = dialect.delimiter.join(value or "" for value in row)[:80]
                remedy = "A line break may split the row: enclose a text that contains a line break in double quotes."
                if len(row) > width:
                    remedy = f"Enclose a text that contains {dialect.delimiter!r} in double quotes."
                raise fail(
                    f"{text.file} row {number} has {len(row)} field{'s'[: len(row) != 1]}, the header {width}: "
                    f"{shown!r} ({dialect}). {remedy}"
                )
            yield row
    except csv.Error as error:
        hint = "Is a quote not closed?" if dialect.quoting == "minimal" else ""
        raise fail(
            f"{text.file} cannot be read as CSV after row {number} ({dialect}): {error}. {hint}".strip()
        ) from None


class _DoesNotFit(Exception):
    """The file cannot be read in a dialect."""


def _try(texts: list[Text], dialect: Dialect, evidence: Evidence) -> Reading:
    """Read all files in ``dialect``, and add to ``evidence``."""
    reading = Reading(dialect)
    for text in texts:
        raw: list[str] = []  # the lines of the current record
        lines, width = evidence.note_lines(text.lines(), raw, dialect.delimiter), 0
        try:
            for number, row in enumerate(_checked(text, lines, dialect, _DoesNotFit), start=1 + text.skipped):
                width = width or len(row)
                if dialect.quoting == "minimal":
                    evidence.note_record(number, number == 1 + text.skipped, row, raw, width, dialect, text.end)
                raw.clear()
                reading.blank += not row
                reading.rows += bool(row)
        except _DoesNotFit as error:
            reading.fault = reading.fault or str(error)
            for _ in lines:  # the remaining lines are evidence, too
                raw.clear()
        reading.rows -= 1  # without the header
    return reading


def find_dialect(texts: list[Text], wanted: Wanted, delimiter: str) -> Reading:
    """Find the dialect of all ``texts``, each with a header.

    If the table can be read with and without quoting, quotes enclose fields. Two cases are refused: the two readings
    differ in their rows; or the delimiter is a tab and the quotes are not where a writer would set them (texts in such
    files often begin and end in quotes). Backslashes are escapes if the table cannot be read without escapes.

    Raises:
        BadInput: no reading fits, or two fit and differ. The message names row and setting.
    """
    settings, evidence = wanted.format, Evidence()
    quotings: tuple[Quoting, ...] = ("minimal", "none") if settings.quoting == "auto" else (settings.quoting,)
    escape = BACKSLASH if settings.escape == AUTO else settings.escape
    plain = [] if settings.escape not in (AUTO, None) else [_try(texts, Dialect(delimiter, quotings[0]), evidence)]
    if plain and len(quotings) == 2 and (plain[0].fault or evidence.quoted or evidence.spanning):
        plain.append(_try(texts, Dialect(delimiter, "none"), evidence))
    fitting = [reading for reading in plain if not reading.fault]
    if len(quotings) == 2:
        _refuse_doubt(texts[0], fitting, evidence, wanted)
    escaped, seen = list[Reading](), Evidence()
    if settings.escape not in (AUTO, None) or (
        settings.escape == AUTO
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
        return _select_escaped(texts, clean, seen, wanted)
    if fitting:
        return fitting[0]
    raise BadInput(_unreadable([*plain, *escaped], wanted))


def _refuse_doubt(text: Text, fitting: list[Reading], evidence: Evidence, wanted: Wanted) -> None:
    """Raise BadInput if quotes may be part of the texts or enclose fields."""
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


def _select_escaped(texts: list[Text], clean: list[Reading], evidence: Evidence, wanted: Wanted) -> Reading:
    """Return the reading with quoting, unless no field is in quotes. Raises BadInput: the readings differ in rows."""
    if len(clean) == 2:
        if evidence.quoted is None and not evidence.spanning and not evidence.header_quoted:
            return clean[1]
        if clean[0].rows != clean[1].rows:
            _refuse_doubt(texts[0], clean, evidence, wanted)
    if clean[0].dialect.quoting == "minimal" and evidence.bare_pair and wanted.format.escape == AUTO:
        raise BadInput(
            f"{texts[0].file} row {evidence.bare_pair}: two backslashes outside of quotes mean two for Spark, and one "
            f"for other programs. Set {wanted.set('escape', QUOTED_BACKSLASH)} if they mean one, or write the file "
            "with all fields in quotes."
        )
    return clean[0]


def _unreadable(readings: list[Reading], wanted: Wanted) -> str:
    """Return why the first reading failed; if its quotes are wrong, also why the reading without quoting failed."""
    message = str(readings[0].fault)
    if "cannot be read" in message and wanted.format.quoting == AUTO:
        other = next((one.fault for one in readings if one.dialect.quoting == "none"), None)
        message += f" Without quoting: {other}" if other else ""
    return f"{message} Settings: {wanted.key('delimiter')}, {wanted.key('quoting')}, {wanted.key('escape')}."
