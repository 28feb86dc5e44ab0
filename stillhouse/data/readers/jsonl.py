"""The reader of JSON Lines: one object a line. Only the wanted columns are checked."""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from stillhouse.data.readers.encoding import find_encoding, name_of
from stillhouse.data.readers.records import Text, open_text
from stillhouse.data.readers.table import BATCH_ROWS, Table, partition_columns
from stillhouse.data.readers.values import NESTED, number_name
from stillhouse.data.readers.wanted import Wanted
from stillhouse.errors import BadInput

LINE = "\0line"  # an added column: the object as written
ONE_DOCUMENT = "Write one object a line, for example with jq -c '.[]' in.json > out.jsonl."


class Number(str):
    """A number as written, so that 1.10 and very large numbers do not change."""


class JsonLines(Table):
    """JSON Lines. Values are text: strings unchanged, numbers as written, whole-number labels without decimals."""

    def __init__(self, path: Path, parts: list[Path], wanted: Wanted) -> None:
        self._texts = [open_text(part, find_encoding(part, wanted)) for part in parts]
        self._label = wanted.columns.get("label_column")
        names: dict[str, bool] = {}  # column -> whether a value is nested
        rows = 0
        for text in self._texts:
            for number, _, row in _objects(text):
                rows += 1
                for name, value in row.items():
                    names[name] = names.get(name, False) or isinstance(value, (list, dict))
                self._check(text, number, row, wanted)
        if not rows:
            raise BadInput(f"{path} has no rows.")
        self.nested = [name for name, nested in names.items() if nested]
        names |= {name: False for name in partition_columns(path, parts[0]) if name not in names}
        wanted.check(path, list(names))
        settings = {"format": "JSON Lines", "encoding": name_of(self._texts[0].encoding)}
        super().__init__(path, pa.schema([(name, pa.string()) for name in names]), 1, settings)

    def _check(self, text: Text, number: int, row: dict[str, Any], wanted: Wanted) -> None:
        for setting, name in wanted.columns.items():
            value = row.get(name)
            where = f"{text.file} line {number}: column {name!r} ({wanted.key(setting)})"
            if isinstance(value, (list, dict)):
                kind = "a list" if isinstance(value, list) else "an object"
                raise BadInput(
                    f"{where} holds {kind}, not {'one label. ' + NESTED if name == self._label else 'text.'}"
                )
            if isinstance(value, bool) and name != self._label:
                raise BadInput(f"{where} holds {str(value).lower()}, not text.")
            if isinstance(value, str) and not value.isascii() and re.search("[\ud800-\udfff]", value):
                raise BadInput(f"{where} holds half of a character (a lone surrogate). Correct it.")

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows in order, with these columns. ``LINE`` is the whole object as written."""
        schema = pa.schema([(name, pa.string()) for name in columns])
        for text in self._texts:
            fixed = partition_columns(self.path, text.file)
            objects = _objects(text)
            while part := list(islice(objects, BATCH_ROWS)):
                values = [
                    [
                        line if name == LINE else self._text(name, row.get(name, fixed.get(name)))
                        for _, line, row in part
                    ]
                    for name in columns
                ]
                yield pa.record_batch([pa.array(column, pa.string()) for column in values], schema=schema)

    def _text(self, name: str, value: Any) -> str | None:
        if value is None or (value == "NaN" and isinstance(value, Number)):
            return None
        if isinstance(value, Number):
            return number_name(value) if name == self._label else str(value)
        if isinstance(value, str):
            return value
        return str(value) if name == self._label else json.dumps(value, ensure_ascii=False)


def _objects(text: Text) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Yield line number, line and object of each line that is not blank."""
    for number, line in enumerate(text.lines(), start=1):
        line = line.strip(" \t\r\n")
        if not line:
            continue
        try:
            row = json.loads(line, parse_int=Number, parse_float=Number, parse_constant=Number)
        except (ValueError, RecursionError) as error:
            message = f"{text.file} line {number} is not JSON: {error}."
            if line in ("{", "[", "[{"):
                raise BadInput(
                    f"{message} It is one JSON document over several lines, not JSON Lines. {ONE_DOCUMENT}"
                ) from None
            raise BadInput(f"{message} JSON Lines has one object a line.") from None
        if not isinstance(row, dict):
            kind = "an array" if isinstance(row, list) else type(row).__name__.lower().replace("number", "a number")
            raise BadInput(f"{text.file} line {number} holds {kind}, not an object. {ONE_DOCUMENT}")
        yield number, line, row
