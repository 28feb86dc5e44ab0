"""Detects quoting and escape of delimited text. Refuses ambiguous files."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass

from stillhouse.data.readers.evidence import BACKSLASH, Evidence
from stillhouse.data.readers.records import QUOTE, Dialect, Quoting, Row, Text, rows
from stillhouse.data.readers.wanted import Wanted
from stillhouse.errors import BadInput

QUOTED_BACKSLASH = "'\\'"  # valid in YAML and in a shell

AUTO = "auto"


@dataclass
class ParseResult:
    """The result of reading whole files in a dialect.

    Attributes:
        dialect: the dialect.
        rows: number of data rows.
        blank: number of blank lines.
        error: the first error that stopped the reading of a file; None if the dialect fits.
        is_csv_error: whether ``error`` is one of the CSV parser, such as a quote that is not closed.
    """

    dialect: Dialect
    rows: int = 0
    blank: int = 0
    error: str | None = None
    is_csv_error: bool = False


def read_records(text: Text, dialect: Dialect) -> Iterator[Row]:
    """Yield the header and the records, all with the same number of fields.

    Blank lines are skipped, unless the table has one column.

    Raises:
        BadInput: a record has another number of fields, or a quote is in a wrong place.
    """
    try:
        yield from (row for row in _read_checked(text, text.lines(), dialect) if row)
    except _DoesNotFit as error:
        raise BadInput(str(error)) from None


class _DoesNotFit(Exception):
    """The file cannot be read in a dialect."""


class _CsvError(_DoesNotFit):
    """The CSV parser raised an error."""


def _read_checked(text: Text, lines: Iterator[str], dialect: Dialect) -> Iterator[Row]:
    """Yield the header and the records of ``lines``; ``[]`` for a blank line, unless the table has one column.

    Raises:
        _DoesNotFit: a record has another number of fields than the header.
        _CsvError: a quote is in a wrong place, or the file ends with an escape character.
    """
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
                raise _DoesNotFit(
                    f"{text.file} row {number} has {len(row)} {'field' if len(row) == 1 else 'fields'}, the header "
                    f"{width}: {shown!r} ({dialect}). {remedy}"
                )
            yield row
    except csv.Error as error:
        hint = "Is a quote not closed?" if dialect.quoting == "minimal" else ""
        raise _CsvError(
            f"{text.file} cannot be read as CSV after row {number} ({dialect}): {error}. {hint}".strip()
        ) from None


def _try(texts: list[Text], dialect: Dialect, evidence: Evidence) -> ParseResult:
    """Read all files in ``dialect``, and add to ``evidence``."""
    result = ParseResult(dialect)
    for text in texts:
        raw: list[str] = []  # the lines of the current record
        lines, width = evidence.note_lines(text.lines(), raw, dialect.delimiter), 0
        try:
            for number, row in enumerate(_read_checked(text, lines, dialect), start=1 + text.skipped):
                width = width or len(row)
                if dialect.quoting == "minimal":
                    evidence.note_record(number, number == 1 + text.skipped, row, raw, width, dialect, text.end)
                raw.clear()
                result.blank += not row
                result.rows += bool(row)
        except _DoesNotFit as error:
            if not result.error:
                result.error, result.is_csv_error = str(error), isinstance(error, _CsvError)
            for _ in lines:  # the remaining lines are evidence, too
                raw.clear()
        result.rows -= 1  # without the header
    return result


def find_dialect(texts: list[Text], wanted: Wanted, delimiter: str) -> ParseResult:
    """Find the dialect of all ``texts``, each with a header.

    The texts are read without escapes first: with quoting, and without quoting if that may make a difference. If both
    readings fit, the one with quoting is used. If backslashes may be escapes, the texts are read again with the
    backslash as the escape character.

    Raises:
        BadInput: The message names the settings. The cases are:

            - No dialect fits.
            - Quotes may be text or enclose fields (:func:`_refuse_ambiguous_quotes`).
            - Backslashes may be text or escapes: a reading with escapes fits, and one without.
            - Spark and other programs read the backslashes differently (:func:`_select_escaped`).
    """
    settings, evidence, escaped_evidence = wanted.format, Evidence(), Evidence()
    quotings: tuple[Quoting, ...] = ("minimal", "none") if settings.quoting == "auto" else (settings.quoting,)
    escape_is_set = settings.escape not in (AUTO, None)
    unescaped = [] if escape_is_set else _read_unescaped(texts, delimiter, quotings, evidence)
    unescaped_valid = [result for result in unescaped if not result.error]
    if len(quotings) == 2:
        _refuse_ambiguous_quotes(texts[0], unescaped_valid, evidence, wanted)

    escaped: list[ParseResult] = []
    if escape_is_set or (settings.escape == AUTO and _may_be_escaped(unescaped, evidence, delimiter)):
        escape = settings.escape if escape_is_set else BACKSLASH
        escaped = [_try(texts, Dialect(delimiter, quoting, escape), escaped_evidence) for quoting in quotings]
    escaped_valid = [result for result in escaped if not result.error]

    if unescaped_valid and escaped_valid:
        raise BadInput(
            f"{texts[0].file}: backslashes may be text or escapes. Set {wanted.set('escape', 'null')} if they are "
            f"text, {wanted.set('escape', QUOTED_BACKSLASH)} if they are escapes (MySQL, Spark)."
        )
    if unescaped_valid:
        return unescaped_valid[0]
    if escaped_valid:
        return _select_escaped(texts, escaped_valid, escaped_evidence, wanted)
    raise BadInput(_why_unreadable([*unescaped, *escaped], wanted))


def _read_unescaped(
    texts: list[Text], delimiter: str, quotings: tuple[Quoting, ...], evidence: Evidence
) -> list[ParseResult]:
    """Read the texts with the first quoting.

    If there is a second quoting, they are also read with that one where the first reading failed, or found a quoted
    field outside of the header or a record of several lines.
    """
    first = _try(texts, Dialect(delimiter, quotings[0]), evidence)
    if len(quotings) == 2 and (first.error or evidence.quoted or evidence.spanning):
        return [first, _try(texts, Dialect(delimiter, quotings[1]), evidence)]
    return [first]


def _may_be_escaped(unescaped: list[ParseResult], evidence: Evidence, delimiter: str) -> bool:
    """Return whether backslashes may be escapes.

    True if no reading without escapes fits, if a backslash looks like an escape, or if reading with quoting fails and a
    backslash stands before a quote.
    """
    if not evidence.follows:
        return False
    if all(result.error for result in unescaped) or evidence.looks_escaped(delimiter):
        return True
    return bool(unescaped[0].error) and QUOTE in evidence.follows


def _refuse_ambiguous_quotes(text: Text, valid: list[ParseResult], evidence: Evidence, wanted: Wanted) -> None:
    """Raise BadInput if quotes may be part of the texts or enclose fields.

    Nothing is refused if no reading with quoting fits, or if the evidence for quoting is strong
    (``Evidence.surely_quoted``). Otherwise these cases are refused:

    - The readings with and without quoting differ in their number of rows.
    - Most lines of multi-line records have as many fields as the header. Only the reading with quoting may fit.
    - The delimiter is a tab, and the quotes are not where a CSV writer puts them. Texts in such files often begin and
      end with quotes.

    Args:
        text: the message names its file.
        valid: the readings that fit, the one with quoting first.
        evidence: of the reading with quoting.
        wanted: the settings.
    """
    if not valid or valid[0].dialect.quoting != "minimal" or evidence.surely_quoted:
        return
    both = len(valid) == 2
    either = (
        f"Set {wanted.set('quoting', 'none')} if the quotes are part of the texts, or "
        f"{wanted.set('quoting', 'minimal')} if they enclose fields."
    )
    if 2 * evidence.whole_lines > evidence.lines or (both and valid[0].rows != valid[1].rows):
        counts = f" ({valid[1].rows:,} rows without quoting, {valid[0].rows:,} with it)" if both else ""
        raise BadInput(
            f"{text.file} row {evidence.spanning}: the quoted field spans several lines, but "
            f"{'each line' if both else 'most of such lines'} also {'has' if both else 'have'} the right number of "
            f"fields{counts}. {either}"
        )
    unnecessary = [row for column, row in evidence.needless.items() if column in evidence.bare]
    if both and unnecessary and valid[0].dialect.delimiter == "\t":
        raise BadInput(
            f"{text.file} row {min(unnecessary)}: a field has unnecessary quotes; other fields in this column have "
            f"none. {either}"
        )


def _select_escaped(texts: list[Text], valid: list[ParseResult], evidence: Evidence, wanted: Wanted) -> ParseResult:
    """Return the first reading; the one without quoting if both fit and no field is in quotes.

    Raises:
        BadInput: the results differ in their number of rows, and :func:`_refuse_ambiguous_quotes` refuses them; or a
            field outside of quotes has two backslashes, which Spark reads differently.
    """
    if len(valid) == 2:
        if evidence.quoted is None and not evidence.spanning and not evidence.header_quoted:
            return valid[1]
        if valid[0].rows != valid[1].rows:
            _refuse_ambiguous_quotes(texts[0], valid, evidence, wanted)
    if valid[0].dialect.quoting == "minimal" and evidence.bare_pair and wanted.format.escape == AUTO:
        raise BadInput(
            f"{texts[0].file} row {evidence.bare_pair}: Spark reads {2 * BACKSLASH} outside quotes as two backslashes; "
            f"other programs read one. Set {wanted.set('escape', QUOTED_BACKSLASH)} for one backslash, or write the "
            "file with all fields in quotes."
        )
    return valid[0]


def _why_unreadable(results: list[ParseResult], wanted: Wanted) -> str:
    """Return the error of the first reading.

    If the CSV parser raised it and quoting is ``auto``, the error of the first reading without quoting is added.
    """
    message = str(results[0].error)
    if results[0].is_csv_error and wanted.format.quoting == AUTO:
        other = next((result.error for result in results if result.dialect.quoting == "none"), None)
        message += f" Without quoting: {other}" if other else ""
    return f"{message} Settings: {wanted.key('delimiter')}, {wanted.key('quoting')}, {wanted.key('escape')}."
