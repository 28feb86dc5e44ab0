"""Writing files whole: a reader finds the old content or the new one, never a part."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


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
