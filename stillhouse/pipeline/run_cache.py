"""Parameters that DVC's run cache does not see.

The cache of earlier runs is searched by a hash of command, parameters and dependencies. The hash leaves out every key
of a mapping that is named ``size`` or ``nfiles``, because DVC stores sizes of files under these names
(``_get_cache_hash`` in ``dvc/stage/cache.py``). So a stage with another value would get the outputs of the old one. A
stage that lists such a parameter by its dotted key (``student.size``) is not affected.
"""

import re
from collections.abc import Iterator
from typing import Any

from stillhouse.params.sizes import UNSEEN
from stillhouse.pipeline.stages import STAGES

DEVICE = re.compile(r"^devices\.[^.]+")
# Dotted keys that the stages list themselves.
LISTED = {key for stage in STAGES.values() for key in stage.params if key.rpartition(".")[2] in UNSEEN}


def unseen(content: Any) -> list[str]:
    """Return the dotted keys of parameters that the run cache does not see. ``content``: params.yaml, parsed."""
    keys = (key for key in _keys(content) if key.rpartition(".")[2] in UNSEEN)
    return [key for key in keys if DEVICE.sub("devices.{device}", key) not in LISTED]


def _keys(content: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(content, dict):
        for name, value in content.items():
            yield f"{prefix}{name}"
            yield from _keys(value, f"{prefix}{name}.")
    elif isinstance(content, list):
        for value in content:
            yield from _keys(value, prefix)
