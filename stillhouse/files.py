"""Writing files: complete or not at all, and the same bytes for the same numbers."""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A path beside ``file`` to write to, ``<name>.partial``, which replaces ``file`` at the end of the block.

    Where the block raises, ``file`` stays as it was and the partial file is removed.
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
    """Indented JSON, floats rounded to six digits so that a diff shows differences that matter."""
    rounded = json.loads(json.dumps(content), parse_float=lambda number: round(float(number), 6))
    file.write_text(json.dumps(rounded, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_csv(file: Path, rows: list[dict[str, Any]]) -> None:
    """A table for ``dvc plots``; the first row's keys are the columns."""
    with file.open("w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
