"""DVC's settings in a project. DVC merges those of the system, the user, the project and this clone."""

from pathlib import Path
from typing import Any

from stillhouse.errors import BadInput


def dvc_config(folder: Path = Path()) -> dict[str, Any]:
    """Return the sections with their values.

    Raises:
        BadInput: a configuration file cannot be read.
    """
    from dvc.config import Config, ConfigError  # importing it takes a quarter of a second

    try:
        return dict(Config(str(folder / ".dvc")))
    except (ConfigError, OSError, ValueError) as error:
        raise BadInput(f"DVC's settings cannot be read: {error}. Correct .dvc/config or .dvc/config.local.") from None


def cache_folder(folder: Path = Path()) -> Path:
    """The folder of DVC's cache for the project in ``folder``."""
    configured = dvc_config(folder).get("cache", {}).get("dir")
    return (folder / ".dvc" / (configured or "cache")).resolve()
