"""Parameters of a flow run: those of ``params.yaml``, each optional, shown as a form in Prefect's UI.

Keys that could run a command (:data:`FILE_ONLY`) are set in the file alone; a request that names one is refused.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from stillhouse.files import replacing
from stillhouse.params import Params, Section, check_params, optional
from stillhouse.params.files import round_trip

# Whoever reaches Prefect's API may start a run with these changes, and must not get a shell on this machine by it.
# notify and heartbeat are commands; a Dask scheduler at study.address sends pickled objects, which run code when read.
# Paths and names of models stay: they are only read, and models are loaded without code of their own.
FILE_ONLY = ("flow.notify", "flow.heartbeat", "study.address")
Changes: Any = optional(Params, without=FILE_ONLY)


def write_changes(changes: BaseModel, path: Path = Path("params.yaml"), nulls: bool = False) -> dict[str, Any]:
    """Write what was filled in into ``params.yaml``, keeping its comments.

    The file stays the one home of every parameter, so that DVC sees what a run really used. With ``nulls`` a null
    that was set is written, too; a form sends one for each field that was left empty.

    Returns:
        The changed keys, dotted, with their new values.

    Raises:
        BadInput: the changed parameters are not valid together; the file is then left as it was.
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
        # A section of the form is followed into; everything else is one value, also where it is a table.
        if isinstance(value, BaseModel) and not isinstance(value, Section):
            yield from _apply(content[key], value, f"{prefix}{key}.", nulls)
            continue
        filled_in = value is not None or (nulls and name in changes.model_fields_set)
        if filled_in and _plain(content.get(key)) != dumped[key]:
            content[key] = dumped[key]
            yield prefix + key, dumped[key]


def _plain(value: Any) -> Any:
    """Without ruamel's own types."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, float):
        return float(value)
    return value
