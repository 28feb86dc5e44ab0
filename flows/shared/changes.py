"""Parameters of a flow run: those of ``params.yaml``, all optional. Prefect's UI shows them as a form.

Keys that could run a command (:data:`FILE_ONLY`) can be set in the file only. A request that sets one is refused.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from stillhouse.files import replacing
from stillhouse.params import Params, Section, check_params, optional
from stillhouse.params.files import round_trip

# Any client of Prefect's API can start a run with changes, and must not be able to run commands on this machine.
# notify and heartbeat are commands. A Dask scheduler at study.address, and a Ray cluster at scale.address,
# send pickled objects, which can run code.
# Paths and model names are allowed: they are only read, and models are loaded without remote code.
FILE_ONLY = ("flow.notify", "flow.heartbeat", "study.address", "scale.address")
Changes: Any = optional(Params, without=FILE_ONLY)


def write_changes(changes: BaseModel, path: Path = Path("params.yaml"), nulls: bool = False) -> dict[str, Any]:
    """Write the given parameters to ``params.yaml`` and preserve its comments.

    All parameters of a run are in the file, so DVC records the values that the run used.

    Args:
        changes: the parameters to change.
        path: the file.
        nulls: also write a null that was set explicitly. A form sends null for each empty field.

    Returns:
        The changed keys, dotted, with their new values.

    Raises:
        BadInput: the changed parameters are not valid together. The file is unchanged.
    """
    yaml = round_trip()
    content = yaml.load(path.read_text(encoding="utf-8"))
    written = dict(_apply(content, changes, "", nulls))
    if written:
        check_params(_plain(content), f"{path} with this run's changes")
        with replacing(path) as partial, partial.open("w", encoding="utf-8") as file:
            yaml.dump(content, file)
    return written


def _apply(content: Any, changes: BaseModel, prefix: str, nulls: bool) -> Iterator[tuple[str, Any]]:
    dumped = changes.model_dump(by_alias=True)
    for name, field in type(changes).model_fields.items():
        key, value = field.alias or name, getattr(changes, name)
        # Sections of the form are visited recursively. Everything else is one value, also a table.
        if isinstance(value, BaseModel) and not isinstance(value, Section):
            yield from _apply(content[key], value, f"{prefix}{key}.", nulls)
            continue
        filled_in = value is not None or (nulls and name in changes.model_fields_set)
        if filled_in and _plain(content.get(key)) != dumped[key]:
            content[key] = dumped[key]
            yield prefix + key, dumped[key]


def _plain(value: Any) -> Any:
    """Convert ruamel's types to plain Python types."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, float):
        return float(value)
    return value
