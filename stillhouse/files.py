"""Writing files completely or not at all, and with equal bytes for equal numbers."""

import csv
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Yield the path ``<name>.partial`` beside ``file``; at the end of the block it replaces ``file``.

    If the block raises, ``file`` stays as it was and the partial file is removed.
    """
    partial = file.with_name(f"{file.name}.partial")
    try:
        yield partial
        partial.replace(file)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def write_json(file: Path, content: Any) -> None:
    """Write indented JSON. Floats are rounded to six decimals, so that a diff shows only relevant differences."""
    rounded = json.loads(json.dumps(content), parse_float=lambda number: round(float(number), 6))
    file.write_text(json.dumps(rounded, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_csv(file: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write a table for ``dvc plots``. The columns are the keys of the first row; there is at least one row."""
    rows = iter(rows)
    first = next(rows)
    with file.open("w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, list(first), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in chain([first], rows)
        )
