"""Detects the delimiter of delimited text."""

from stillhouse.data.readers.records import Dialect, Text, header, separator
from stillhouse.data.readers.wanted import Wanted

AUTO = "auto"
DELIMITERS = (",", ";", "\t", "|")
DELIMITER_BY_SUFFIX = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": "\t"}


def find_delimiter(text: Text, wanted: Wanted) -> str:
    """Return the delimiter: as set, as in Excel's line ``sep=``, or as detected.

    A delimiter fits if the header then has all wanted columns. If several fit, the one that is usual for the file's
    suffix comes first. If none fits, the function returns the one that gives the most columns.
    """
    if wanted.format.delimiter != AUTO:
        return wanted.format.delimiter
    if text.skipped and (named := separator(_line_before_header(text))):
        return named
    usual = DELIMITER_BY_SUFFIX.get(text.file.suffix.lower(), ",")
    order = sorted(DELIMITERS, key=lambda delimiter: delimiter != usual)
    headers = {delimiter: header(text, Dialect(delimiter, "minimal")) for delimiter in order}
    fitting = [delimiter for delimiter in order if set(wanted.columns.values()) <= set(headers[delimiter])]
    return fitting[0] if fitting else max(order, key=lambda delimiter: len(headers[delimiter]))


def _line_before_header(text: Text) -> str:
    line = next(Text(text.file, text.encoding, text.end, text.skipped - 1).lines(), "")
    return line.rstrip("\r\n")  # not the tab of ``sep=<tab>``
