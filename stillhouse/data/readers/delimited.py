"""The reader of delimited text such as CSV and TSV, in one file or in the parts of a folder."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa

from stillhouse.data.readers.delimiter import find_delimiter
from stillhouse.data.readers.dialect import find_dialect, read_records
from stillhouse.data.readers.encoding import find_encoding, name_of
from stillhouse.data.readers.records import Dialect, Row, Text, header, open_text
from stillhouse.data.readers.table import BATCH_ROWS, Table, partition_columns
from stillhouse.data.readers.wanted import Wanted
from stillhouse.errors import BadInput


class Delimited(Table):
    """Delimited text. Every value stays text as written: ``NA`` is a word and ``007`` a label."""

    def __init__(self, path: Path, parts: list[Path], wanted: Wanted) -> None:
        texts = [open_text(part, find_encoding(part, wanted)) for part in parts]
        delimiter = find_delimiter(texts[0], wanted)
        from_folders = list(partition_columns(path, parts[0]))
        self._check(path, texts, Dialect(delimiter, "minimal"), from_folders, wanted)
        result = find_dialect(texts, wanted, delimiter)
        self._dialect, self._texts = result.dialect, texts
        names = self._check(path, texts, self._dialect, from_folders, wanted)
        if not result.rows:
            raise BadInput(f"{path} has columns but no rows.")
        settings = {"delimiter": delimiter, "encoding": name_of(texts[0].encoding), "quoting": self._dialect.quoting}
        if self._dialect.escape:
            settings["escape"] = self._dialect.escape
        if result.blank:
            settings["blank lines"] = str(result.blank)
        schema = pa.schema([(name, pa.string()) for name in names])
        super().__init__(path, schema, 2 + texts[0].skipped, settings)

    @staticmethod
    def _check(path: Path, texts: list[Text], dialect: Dialect, from_folders: list[str], wanted: Wanted) -> list[str]:
        """Check that all parts have the same columns, and the wanted ones; return their names."""
        names = [name or "" for name in header(texts[0], dialect)]
        for text in texts[1:]:
            if header(text, dialect) != names:
                raise BadInput(
                    f"{text.file} has another header than {texts[0].file}. Give all parts of a table the same header."
                )
        names += [name for name in from_folders if name not in names]
        try:
            wanted.check(path, names)
        except BadInput as error:
            shown = "tab" if dialect.delimiter == "\t" else repr(dialect.delimiter)
            raise BadInput(f"{error} ({wanted.key('delimiter')} is read as {shown}.)") from None
        return names

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows in order, with these columns."""
        schema = pa.schema([self.schema.field(name) for name in columns])
        for text in self._texts:
            fixed = partition_columns(self.path, text.file)
            records = read_records(text, self._dialect)
            names = next(records, [])
            while rows := list(islice(records, BATCH_ROWS)):
                yield _batch(rows, names, columns, fixed, schema, text)


def _batch(
    rows: list[Row], names: Row, columns: Sequence[str], fixed: dict[str, str | None], schema: pa.Schema, text: Text
) -> pa.RecordBatch:
    values = list(zip(*rows, strict=True))
    try:
        arrays = [
            pa.array(values[names.index(name)] if name in names else [fixed.get(name)] * len(rows), pa.string())
            for name in columns
        ]
    except (UnicodeEncodeError, pa.ArrowInvalid) as error:
        raise BadInput(f"{text.file} has a code that is no character: {error}") from None
    return pa.record_batch(arrays, schema=schema)
