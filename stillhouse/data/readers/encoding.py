"""Finds the encoding of a text file.

It is the setting, else that of the byte order mark, else UTF-16 or UTF-32 if the zero bytes show it, else UTF-8. A file
that does not decode is refused.

A legacy code page must be set. It is only suggested, since nearly every byte sequence is valid in one.
"""

import codecs
from collections.abc import Iterator
from pathlib import Path

from charset_normalizer import from_bytes

from stillhouse.data.readers.wanted import Wanted
from stillhouse.errors import BadInput

AUTO = "auto"
BLOCK = 1 << 20  # bytes decoded at once
SAMPLE = 1 << 16  # bytes of non-ASCII lines that the suggestion is based on
# UTF-32 first: its little-endian mark begins with the mark of UTF-16.
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
BINARY = {
    b"\x1f\x8b": "a gzip file. Unpack it first",
    b"PK\x03\x04": "a ZIP file or an Excel workbook. Unpack it, or save it as CSV, first",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook. Save it as CSV first",
    b"BZh": "a bzip2 file. Unpack it first",
    b"\xfd7zXZ": "an xz file. Unpack it first",
    b"\x28\xb5\x2f\xfd": "a Zstandard file. Unpack it first",
    b"PAR1": "a Parquet file. Rename it to .parquet",
    b"ARROW1": "an Arrow file. Write it as Parquet first",
}
# CPython's reasons if a text ends within a character.
CUT = ("end of data", "truncated", "incomplete multibyte sequence")
# Common code pages of exports.
LEGACY = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "koi8_r"]
LEGACY += ["cp932", "euc_jp", "gb18030", "big5", "cp949"]


def find_encoding(file: Path, wanted: Wanted) -> str:
    """Return the name of a codec that decodes the whole ``file``.

    Raises:
        BadInput: an unknown codec, a compressed or binary file, or bytes that the codec cannot decode. The message
            names line and byte, and suggests an encoding.
    """
    setting = wanted.format.encoding
    if setting != AUTO:
        _check_name(setting, wanted)
    with file.open("rb") as stream:
        head = stream.read(BLOCK)
    for magic, kind in BINARY.items():
        if head.startswith(magic):
            raise BadInput(f"{file} is {kind}.")
    if setting != AUTO:
        encoding = "utf-8-sig" if codecs.lookup(setting).name == "utf-8" else setting
    else:
        encoding = next((name for mark, name in MARKS if head.startswith(mark)), None) or _unmarked(head)
    if (fault := _fault(file, encoding)) is not None:
        raise BadInput(_message(file, encoding, *fault, wanted))
    return encoding


def name_of(encoding: str) -> str:
    """Return the encoding for a log line: ``UTF-8``, ``UTF-16``, ``cp1252``."""
    name = encoding.removesuffix("-sig")
    return name.upper() if name.lower().startswith("utf") else name


def _check_name(encoding: str, wanted: Wanted) -> None:
    try:
        "a".encode(encoding)
        codecs.getincrementaldecoder(encoding)()
    except (LookupError, ValueError):  # unknown, or not an encoding of text
        raise BadInput(f"{wanted.key('encoding')}: {encoding!r} is not a text encoding of Python.") from None


def _unmarked(head: bytes) -> str:
    """Return the encoding of text without a byte order mark: UTF-16 or UTF-32 if the zero bytes show it, else UTF-8.

    All bytes but one of an ASCII character are zero there. In most texts at least 30 % of the characters are ASCII, and
    less than 2 % of the lowest bytes are zero.
    """
    if b"\0" not in head:
        return "utf-8"
    for width, codec in ((4, "utf-32"), (2, "utf-16")):
        if len(head) % width == 0 or len(head) == BLOCK:
            zeros = [head[place::width].count(0) / max(1, len(head[place::width])) for place in range(width)]
            if all(share > 0.3 for share in zeros[1:]) and zeros[0] < 0.02:
                return f"{codec}-le"
            if all(share > 0.3 for share in zeros[:-1]) and zeros[-1] < 0.02:
                return f"{codec}-be"
    return "utf-8"


def _blocks(file: Path, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    with file.open("rb") as stream:
        while block := stream.read(BLOCK):
            yield decoder.decode(block)
        yield decoder.decode(b"", final=True)


def _fault(file: Path, encoding: str) -> tuple[int, int, bool] | None:
    """Return where the file does not decode: line (from 1), value of the wrong byte, whether the file ends too early.

    None if the whole file decodes.
    """
    line = 1
    try:
        for text in _blocks(file, encoding):
            line += text.count("\n")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode(encoding, errors="ignore")
        cut = any(reason in error.reason for reason in CUT)
        return line + before.count("\n"), error.object[error.start], cut
    except UnicodeError:  # UTF-16 or UTF-32 without the required mark
        return 1, file.read_bytes()[0], False
    return None


def _message(file: Path, encoding: str, line: int, byte: int, cut: bool, wanted: Wanted) -> str:
    start = f"{file} line {line}: byte 0x{byte:02x} is not {encoding.removesuffix('-sig')}."
    if cut:
        return f"{start} The file ends within a character, so it is incomplete."
    key = wanted.key("encoding")
    if encoding.lower().replace("_", "-") in ("utf-16", "utf-32"):
        return f"{file} has no byte order mark. Set {key} to {encoding}-le or {encoding}-be."
    if encoding.startswith("utf-8"):
        lines = list(_foreign(file))
        if sum(map(_is_utf8, lines)) > 0.8 * len(lines):
            return f"{start} Other lines are UTF-8, so this line is damaged. Correct it."
    for guess in _guesses(file):
        if guess != encoding and _fault(file, guess) is None:
            shown = _line(file, guess, line)
            return f"{start} Set {wanted.set('encoding', guess)} if this is how line {line} should read: {shown!r}"
    return f"{start} Set {key} to the encoding that the file was written in, or convert the file to UTF-8."


def _foreign(file: Path) -> Iterator[bytes]:
    """Yield lines with non-ASCII bytes, about ``SAMPLE`` bytes of them."""
    size = 0
    with file.open("rb") as stream:
        for line in stream:
            if not line.isascii():
                yield line
                size += len(line)
                if size > SAMPLE:
                    return


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _guesses(file: Path) -> list[str]:
    """Return code pages, the most likely first. Western European comes first unless another fits the sample better."""
    sample = b"".join(_foreign(file))[: 2 * SAMPLE]
    found = list(from_bytes(sample, cp_isolation=LEGACY, threshold=0.5, enable_fallback=False))
    names = [name for match in found for name in [match.encoding, *match.could_be_from_charset]]
    western = from_bytes(sample, cp_isolation=LEGACY[:1], threshold=0.5, enable_fallback=False).best()
    if western and found and western.chaos <= found[0].chaos:
        names = [LEGACY[0], *names]
    return list(dict.fromkeys(name for name in names if name in LEGACY))


def _line(file: Path, encoding: str, number: int) -> str:
    with file.open(encoding=encoding, newline="\n") as lines:
        return next((text.rstrip("\r\n") for index, text in enumerate(lines, start=1) if index == number), "")[:80]
