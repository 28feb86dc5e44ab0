"""DVC's settings in a project, as DVC merges them from the system, the user, the project and this copy of it."""

from pathlib import Path
from typing import Any

from stillhouse.errors import BadInput


def dvc_config(folder: Path = Path()) -> dict[str, Any]:
    """The sections with their values.

    Raises:
        BadInput: a file of theirs cannot be read.
    """
    from dvc.config import Config, ConfigError  # a quarter of a second

    try:
        return dict(Config(str(folder / ".dvc")))
    except (ConfigError, OSError, ValueError) as error:
        raise BadInput(f"DVC's settings cannot be read: {error}. Mend .dvc/config or .dvc/config.local.") from None


def cache_folder(folder: Path = Path()) -> Path:
    """Where DVC keeps the outputs of the project in ``folder``."""
    named = dvc_config(folder).get("cache", {}).get("dir")
    return (folder / ".dvc" / (named or "cache")).resolve()
