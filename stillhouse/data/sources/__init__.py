"""Sources of labelled texts. Each file here is a source; ``data.source`` names it.

A source is a function ``(data, cache) -> Source`` marked with ``@register``. The function reads the texts that ``data``
names. It may write Arrow files into the folder ``cache``. A source other than ``hub`` reads from ``data.path``.
"""

from collections.abc import Callable
from pathlib import Path

from datasets import disable_progress_bars

from stillhouse.data.source import Source
from stillhouse.params import Data
from stillhouse.registry import Registry

SOURCES: Registry[Callable[[Data, Path], Source]] = Registry("stillhouse.data.sources")


def load_source(data: Data, cache: Path) -> Source:
    """Open the texts that ``data`` names. Arrow files are written to ``cache`` and memory-mapped.

    Raises:
        BadInput: a file, split or column is missing, empty, of an unknown kind or not decodable.
        Unavailable: the hub does not answer.
    """
    disable_progress_bars()
    return SOURCES[data.source](data, cache)
