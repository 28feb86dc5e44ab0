"""Tables and lines of text that the page labels. The readers and the columns are those of ``stillhouse score``."""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from flows.shared.labeller import ADDED, Labeller
from flows.shared.scoring import check, format_of
from stillhouse.data.inspection import choose_text, find_origin, profile_columns
from stillhouse.data.readers import Wanted
from stillhouse.data.writers import open_writer
from stillhouse.errors import BadInput
from stillhouse.serving.classifier import Classifier

AUTO = format_of("auto", "auto", "auto", "auto")
TARGET = "labels.csv"
OPTIONS = re.compile(r"--(delimiter|encoding|quoting|escape)")


def columns_of(content: bytes, name: str) -> dict[str, Any]:
    """Return the number of ``rows`` of a table, its ``columns`` that can be the text, and the one to ``choose``.

    Args:
        content: of the file.
        name: of the file; its ending says what it is.

    Raises:
        BadInput: the table cannot be read, or has no text.
    """
    with _stored(content, name) as file:
        origin = find_origin(str(file), AUTO, None, None)
        batches = list(origin.batches())
        profiles = profile_columns(origin.columns, batches, origin.class_names)
        texts = [one.name for one in profiles if one.is_text]
        if not texts:
            raise BadInput(f"{file} has no column with text.")
        try:
            chosen = choose_text(origin.where, profiles)
        except BadInput:  # several columns may be the text; the user chooses
            chosen = texts[0]
        return {"rows": sum(map(len, batches)), "columns": texts, "choose": chosen}


def label_table(classifier: Classifier, content: bytes, name: str, column: str) -> bytes:
    """Return a table as CSV with all its rows and columns, and label, probability and deferred.

    Args:
        classifier: the model.
        content: of the file.
        name: of the file.
        column: with the texts.

    Raises:
        BadInput: the table cannot be read, or CSV cannot hold it.
    """
    with _stored(content, name) as file:
        origin = find_origin(str(file), AUTO, None, None)
        settings = AUTO.model_copy(update=origin.format_settings({"text_column": column}, AUTO))
        target = file.parent.parent / TARGET
        table, schema = check(file, target, Wanted({"text_column": column}, settings, "--"))
        names = list(dict.fromkeys([*schema.names, column]))
        batches = (pa.Table.from_batches([batch]) for batch in table.batches(names))
        return _write(classifier, batches, column, schema, target)


def label_lines(classifier: Classifier, lines: list[str]) -> bytes:
    """Return the texts as CSV with the columns text, label, probability and deferred.

    Args:
        classifier: the model.
        lines: the texts.
    """
    table = pa.table({"text": pa.array(lines, pa.string())})
    with TemporaryDirectory(prefix="stillhouse-try-") as folder:
        return _write(classifier, iter([table]), "text", table.schema, Path(folder) / TARGET)


def _write(classifier: Classifier, tables: Iterator[pa.Table], column: str, schema: pa.Schema, target: Path) -> bytes:
    labeller, written = Labeller(classifier, column), pa.schema([*schema, *ADDED])
    with closing(open_writer(target, target, written)) as writer:
        for table in tables:
            writer.write_table(labeller(table).select(written.names).cast(written))
    return target.read_bytes()


@contextmanager
def _stored(content: bytes, name: str) -> Iterator[Path]:
    """Yield a temporary file with the content, since the readers read files. Messages name it as the user does."""
    with TemporaryDirectory(prefix="stillhouse-try-") as folder:
        file = Path(folder) / "source" / (re.sub(r"[^\w.\- ]", "_", Path(name).name)[-100:].lstrip(".") or "table.csv")
        file.parent.mkdir()
        file.write_bytes(content)
        try:
            yield file
        except BadInput as error:
            message = str(error).replace(f"{file.parent}/", "").replace(f"{folder}/", "")
            if OPTIONS.search(message):
                message += " These are options of `stillhouse score`, which writes the same columns."
            raise BadInput(message) from None
