"""Rows in are rows out: whatever writes a table, its rows and texts are read as they were, or it is refused."""

import csv
import io
import json
import os
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillhouse.data.readers import Wanted, open_table
from stillhouse.errors import BadInput
from stillhouse.params import Format

# Take derandomize out, and raise the number by hand, to look for more.
DETECTED = dict.fromkeys(Format.model_fields, "auto")
MANY = settings(
    max_examples=int(os.environ.get("EXAMPLES", "120")),
    derandomize="EXAMPLES" not in os.environ,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
texts = st.text(st.sampled_from("ab é\u2028\x0b\x85\r\n\t\"',;|\\Nn{[日😀 "), max_size=12)
words = st.text(st.sampled_from("ab é日\\\"'"), min_size=1, max_size=5)
tables = st.lists(st.tuples(texts, texts), min_size=1, max_size=8)


def read(content: bytes, suffix: str, columns: tuple[str, ...] = ("text", "label"), **changes) -> list[tuple]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"table{suffix}"
        file.write_bytes(content)
        settings_ = dict(zip(("text_column", "label_column"), columns, strict=False))
        table = open_table(file, Wanted(settings_, Format(**{**DETECTED, **changes})))
        return [row for batch in table.batches(columns) for row in zip(*batch.to_pydict().values(), strict=True)]


def agrees(rows: list[tuple], content: bytes, suffix: str, exact: bool = True, **changes) -> None:
    """The rows are read as they were written, or refused; if not ``exact``, at least as many rows are."""
    columns = ("text", "label")[: len(rows[0])]
    try:
        found = read(content, suffix, columns, **changes)
    except BadInput:
        return
    assert found == rows if exact else len(found) == len(rows), content


@MANY
@given(
    tables,
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.booleans(),
)
def test_what_pandas_writes(rows, quoting, delimiter, end, encoding, alone):
    frame = pd.DataFrame([row[:1] for row in rows] if alone else rows, columns=["text", "label"][: 2 - alone])
    text = frame.to_csv(index=False, quoting=quoting, sep=delimiter, lineterminator=end)
    agrees([tuple(row) for row in frame.to_numpy()], text.encode(encoding), ".csv" if delimiter != "\t" else ".tsv")


@MANY
@given(tables, st.sampled_from(",\t"), st.booleans())
def test_what_pandas_writes_with_an_escape(rows, delimiter, doubled):
    frame = pd.DataFrame(rows, columns=["text", "label"])
    text = frame.to_csv(index=False, sep=delimiter, escapechar="\\", doublequote=doubled)
    agrees(rows, text.encode(), ".csv" if delimiter == "," else ".tsv", exact=False)
    if not doubled:
        agrees(rows, text.encode(), ".csv" if delimiter == "," else ".tsv")


@MANY
@given(tables, st.sampled_from(",\t"))
def test_what_csv_writes_without_quotes(rows, delimiter):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_NONE, escapechar="\\", quotechar=None)
    writer.writerows([("text", "label"), *rows])
    agrees(rows, out.getvalue().encode(), ".tsv", quoting="none", escape="\\")


@MANY
@given(st.lists(st.tuples(words, words), min_size=1, max_size=8), st.sampled_from(",\t"))
def test_quotes_that_are_text_lose_no_row(rows, delimiter):
    content = "".join(delimiter.join(row) + "\n" for row in [("text", "label"), *rows]).encode()
    agrees(rows, content, ".tsv", exact=False)
    agrees(rows, content, ".tsv", quoting="none", escape=None)


def spark(value: str) -> str:
    """As Spark writes by default: quotes where they are needed, a backslash before quotes and, within, backslashes."""
    if not value:
        return '""'
    if any(mark in value for mark in ',"\r\n'):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return value


@MANY
@given(tables)
def test_what_spark_writes(rows):
    content = "".join(",".join(map(spark, row)) + "\n" for row in [("text", "label"), *rows]).encode()
    agrees(rows, content, ".csv", exact=not any(value == "\\N" for row in rows for value in row))


def mysql(value: str | None) -> str:
    """As SELECT ... INTO OUTFILE writes by default."""
    if value is None:
        return "\\N"
    return value.replace("\\", "\\\\").replace("\t", "\\\t").replace("\n", "\\\n").replace("\0", "\\0")


@MANY
@given(st.lists(st.tuples(texts, texts | st.none()), min_size=1, max_size=8), st.sampled_from([".tsv", ".txt"]))
def test_what_mysql_writes(rows, suffix):
    content = "".join("\t".join(map(mysql, row)) + "\n" for row in [("text", "label"), *rows]).encode()
    agrees(rows, content, suffix, exact=False)
    assert read(content, suffix, quoting="none", escape="\\") == rows


@MANY
@given(tables, st.sampled_from([(";", "utf-8-sig"), ("\t", "utf-16"), (",", "cp1252")]), st.booleans())
def test_what_excel_writes(rows, kind, named):
    delimiter, encoding = kind
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows([("text", "label"), *rows])
    content = (f"sep={delimiter}\r\n" * named + out.getvalue()).encode(encoding, "replace")
    agrees(
        [tuple(value.encode(encoding, "replace").decode(encoding) for value in row) for row in rows], content, ".csv"
    )


@MANY
@given(tables, st.booleans(), st.sampled_from(["utf-8", "utf-16"]))
def test_json_lines(rows, ascii_only, encoding):
    lines = [json.dumps({"text": text, "label": label, "other": [1]}, ensure_ascii=ascii_only) for text, label in rows]
    assert read("\n".join(lines).encode(encoding), ".jsonl") == rows


@pytest.mark.parametrize(
    ("content", "suffix", "expected"),
    [
        (b'text\tlabel\n"on" a\tx\nb\ty\n', ".tsv", [('"on" a', "x"), ("b", "y")]),
        (b'id;text;label;score\n1;"a; b";x;0,5\n', ".csv", [("a; b", "x")]),
        (b"sep=;\r\ntext;label\r\na;x\r\n", ".csv", [("a", "x")]),
        (b"\r\nsep=\t\r\ntext\tlabel\r\na,b\tx\r\n", ".csv", [("a,b", "x")]),
        (b"\nsep=:\ntext:label\na:x\n", ".csv", [("a", "x")]),
        (b"text,label\n\na,x\n\n", ".csv", [("a", "x")]),
        (b'text,label\n"a ""b"", c",x\nd,y\n', ".csv", [('a "b", c', "x"), ("d", "y")]),
        (b'text,label\n"a \\"b\\", c",x\nd,y\n', ".csv", [('a "b", c', "x"), ("d", "y")]),
        (b"text\tlabel\na\\\nb\tx\n\\N\ty\n", ".tsv", [("a\nb", "x"), (None, "y")]),
        (b"text|label\na\x0bb\xe2\x80\xa8c|x\n", ".txt", [("a\x0bb\u2028c", "x")]),
        ("text\tlabel\r\ncafé\tx\r\n".encode("utf-16-le"), ".tsv", [("café", "x")]),
        (b"text,label\ra,x\rb,y\r", ".csv", [("a", "x"), ("b", "y")]),
        (b"text,label,,\na,x,,\n", ".csv", [("a", "x")]),
        (
            b'{"text": "a", "label": 1}\n{"text": "2024-01-01", "label": "1"}\n',
            ".jsonl",
            [("a", "1"), ("2024-01-01", "1")],
        ),
        (
            b'{"text": "a", "label": 1.0, "n": 1}\n{"text": 1.10, "label": true, "n": []}\n',
            ".json",
            [("a", "1"), ("1.10", "True")],
        ),
    ],
)
def test_how_a_table_is_written_is_found_out(content, suffix, expected):
    assert read(content, suffix) == expected


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        ("text,label\n日本,x".encode("cp932")[:-1] + b"\x93", "cp932", "The file ends within a character"),
        (
            "text,label\na,x\n".encode("utf-16-be"),
            "utf-16",
            "has no byte order mark. Set data.encoding to utf-16-le or",
        ),
    ],
)
def test_a_file_that_does_not_decode_is_refused_with_the_reason(content, encoding, message):
    with pytest.raises(BadInput) as raised:
        read(content, ".csv", encoding=encoding)
    assert message in str(raised.value)


def test_doubled_quotes_show_that_fields_of_several_lines_are_quoted():
    rows = [(f'{n}, he said "a"\nto b', "x") for n in range(6)]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([("text", "label"), *rows])
    assert read(out.getvalue().encode(), ".csv") == rows  # though each line alone has as many fields as the header


def test_a_blank_line_of_a_single_column_is_an_empty_text():
    assert read(b"text\na\n\nb\n", ".csv", ("text",)) == [("a",), ("",), ("b",)]


@pytest.mark.parametrize(
    ("content", "suffix", "message"),
    [
        (
            b'text\tlabel\n"a\tx\nb\ty\nc"\tz\n',
            ".tsv",
            "row 2: the quoted field spans several lines, but each line also has the right number of fields",
        ),
        (
            b'text\tlabel\n"a"\tx\nb\ty\n',
            ".tsv",
            "row 2: a field has unnecessary quotes; other fields in this column have none",
        ),
        (b'text,label\n"a,b\nc",d\ne,"f\ng"\n', ".csv", "Set data.quoting: none"),
        (b"text\tlabel\na\\\\b\tx\n", ".tsv", "backslashes may be text or escapes. Set data.escape: null"),
        (b"text,label\na,x\nb\n", ".csv", "row 3 has 1 field, the header 2"),
        (
            b"a:b\nc:d\n",
            ".csv",
            "has no column 'text' (data.text_column). It has: 'a:b'. (data.delimiter is read as ','.)",
        ),
        (
            "text,label\nit’s,x\n".encode("cp1252"),
            ".csv",
            "Set data.encoding: cp1252 if this is how line 2 should read: 'it’s,x'",
        ),
        ("text,label\nПривет как дела,x\n".encode("cp1251"), ".csv", "Set data.encoding: cp1251"),
        (
            b"text,label\n" + "é,x\n".encode() * 20 + b"\xff,y\n",
            ".csv",
            "line 22: byte 0xff is not utf-8. Other lines are UTF-8",
        ),
        (b"PK\x03\x04", ".csv", "a ZIP file or an Excel workbook"),
        (b'{\n "text": "a"\n}\n', ".json", "one JSON document over several lines"),
        (b'[{"text": "a", "label": "b"}]\n', ".json", "line 1 holds an array"),
        (
            b'{"text": "a", "label": ["b", "c"]}\n',
            ".jsonl",
            "line 1: column 'label' (data.label_column) holds a list, not one label",
        ),
        (b'{"text": {"b": 1}, "label": "b"}\n', ".jsonl", "holds an object, not text"),
        (b'{"text": "a\\ud800", "label": "b"}\n', ".jsonl", "half of a character"),
    ],
)
def test_what_can_be_read_in_two_ways_or_in_none_is_refused(content, suffix, message):
    with pytest.raises(BadInput) as raised:
        read(content, suffix)
    assert message in str(raised.value)


def test_settings_decide_where_a_file_can_be_read_in_two_ways():
    raw = b'text\tlabel\n"a\tx\nb"\ty\n'
    assert read(raw, ".tsv", quoting="none") == [('"a', "x"), ('b"', "y")]
    assert read(b'text\n"a\nb"\n', ".csv", ("text",), quoting="minimal") == [("a\nb",)]
    assert read(b"text\tlabel\na\\\\b\tx\n", ".tsv", escape=None) == [("a\\\\b", "x")]
    assert read(b"text\tlabel\na\\\\b\tx\n", ".tsv", escape="\\") == [("a\\b", "x")]
    assert read(b"text:label\na,b:x\n", ".csv", delimiter=":") == [("a,b", "x")]
    assert read("text,label\nit’s,x\n".encode("cp1252"), ".csv", encoding="cp1252") == [("it’s", "x")]
