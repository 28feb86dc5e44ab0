"""Whatever a file holds, it is read or refused with a message; nothing else is raised."""

import contextlib
import gzip
import io
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from project import ROOT

from stillhouse.data.cleaning import clean
from stillhouse.data.sources import load_source
from stillhouse.data.splitting import complete, few_labels
from stillhouse.errors import StillhouseError
from stillhouse.params import load_params

PARAMS = (ROOT / "params.yaml").read_text()
DATA = load_params(ROOT / "params.yaml").data.model_copy(update={"source": "files", "labels_per_class": 2})
# The same examples every time: a run that fails tells of a change, not of luck. Take derandomize out to look for more.
FEW = settings(max_examples=150, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
LINES = PARAMS.splitlines()
values = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["null", "-1", "1e400", ".nan", "[]", "{}", "*x", "&a [*a]", "!!python/object:os.system x", "\x00", "0x"]
    ),
)


@FEW
@given(st.integers(0, len(LINES) - 1), values, st.sampled_from(["value", "line", "cut", "insert"]))
def test_any_params_are_read_or_refused(number, text, how):
    lines = list(LINES)
    if how == "value":
        lines[number] = f"{lines[number].partition(':')[0]}: {text}"
    elif how == "line":
        lines[number] = text
    elif how == "cut":
        lines = lines[:number]
    else:
        lines.insert(number, text)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "params.yaml"
        file.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
        with contextlib.suppress(StillhouseError):
            load_params(file)


def whole(kind: str) -> bytes:
    frame = pd.DataFrame({"text": [f"text {n % 7} é" for n in range(30)], "label": ["a", "b", "c"] * 10})
    out = io.BytesIO()
    if kind == "parquet":
        frame.to_parquet(out)
    elif kind == "jsonl":
        frame.to_json(out, orient="records", lines=True)
    else:
        frame.to_csv(out, index=False, sep="\t" if kind == "tsv" else ",")
    return out.getvalue()


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
@FEW
@given(data=st.data())
def test_any_bytes_are_read_or_refused(kind, data):
    content = bytearray(whole(kind))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content)))
        new = data.draw(st.one_of(st.binary(max_size=6), st.sampled_from([b'"', b"\n", b"\x00", b"{", b"\xff", b",,"])))
        content[place : place + data.draw(st.integers(0, 30))] = new
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"texts.{kind}"
        file.write_bytes(content)
        settings_ = DATA.model_copy(update={"path": str(file)})
        with contextlib.suppress(StillhouseError):
            cleaned = clean(load_source(settings_, Path(folder) / "cache"), settings_)
            few_labels(complete(cleaned.splits, settings_, 13), 2, 13)


def test_a_compressed_bomb_is_not_unpacked(tmp_path):
    file = tmp_path / "texts.csv"
    with gzip.open(file, "wb") as packed:
        for _ in range(64):
            packed.write(b"text,label\n" + b"a,b\n" * 250_000)
    with pytest.raises(StillhouseError, match=r"texts.csv is a gzip file. Unpack it first"):
        load_source(DATA.model_copy(update={"path": str(file)}), tmp_path / "cache")
    (tmp_path / "texts.csv.gz").write_bytes(file.read_bytes())
    with pytest.raises(StillhouseError, match="is of an unknown kind"):
        load_source(DATA.model_copy(update={"path": str(tmp_path / "texts.csv.gz")}), tmp_path / "cache")


def test_a_parquet_file_whose_text_is_not_utf8_is_refused_with_its_row(tmp_path):
    file = tmp_path / "texts.parquet"
    pd.DataFrame({"text": [f"text {n:02}" for n in range(30)], "label": ["a", "b"] * 15}).to_parquet(
        file, compression=None
    )
    file.write_bytes(file.read_bytes().replace(b"text 03", b"text\x8003"))
    with pytest.raises(StillhouseError, match="texts.parquet row 4 is not UTF-8"):
        load_source(DATA.model_copy(update={"path": str(file)}), tmp_path / "cache")


def test_a_file_that_ends_within_a_character_is_refused_with_its_line(tmp_path):
    file = tmp_path / "texts.csv"
    file.write_bytes("text,label\none,a\ntwo é".encode()[:-1])
    with pytest.raises(StillhouseError, match=r"texts.csv line 3: byte 0xc3 is not utf-8"):
        load_source(DATA.model_copy(update={"path": str(file)}), tmp_path / "cache")
