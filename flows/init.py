"""``stillhouse init``: inspect a table, and write what it is into ``params.yaml``."""

import tempfile
from pathlib import Path
from typing import Any

from flows.shared.changes import Changes, write_changes
from flows.shared.inspected import report
from flows.shared.scoring import format_of
from flows.shared.stopping import command
from stillhouse.data.inspection import NO_LABELS, Origin, choose_label, choose_text, count, find_origin, profile_columns
from stillhouse.data.readers import Wanted, check_types
from stillhouse.errors import BadInput
from stillhouse.params import Format, check_params
from stillhouse.params.files import read_yaml
from stillhouse.params.naming import name_of

PARAMS = Path("params.yaml")
AUTO = dict.fromkeys(Format.model_fields, "auto")


def init(
    source: str,
    text: str | None,
    label: str | None,
    classes: list[str],
    delimiter: str,
    quoting: str,
    escape: str,
    encoding: str,
    hub_config: str | None,
    hub_revision: str | None,
    dry_run: bool,
) -> None:
    """Find the columns of ``source``, print what it holds, and write the keys of its data into ``params.yaml``.

    Args:
        source: a table, a folder of splits, or the id of a dataset of the hub.
        text: the column with the texts; None: it is found.
        label: the column with the labels; None: it is found; an empty string: no text has a label.
        classes: names of the classes, each with a description after a colon or without.
        delimiter: of the source, like ``data.delimiter``.
        quoting: like ``data.quoting``.
        escape: like ``data.escape``.
        encoding: like ``data.encoding``.
        hub_config: the configuration of a dataset of the hub.
        hub_revision: its commit or tag.
        dry_run: write nothing.

    Raises:
        BadInput: a column cannot be found, or ``prepare`` would refuse the source. Nothing is written.
        Unavailable: the hub does not answer.
    """
    content = read_yaml(PARAMS)
    current = check_params(content, str(PARAMS))
    given = format_of(delimiter, quoting, escape, encoding)
    origin = find_origin(source, given, hub_config, hub_revision)
    columns = _columns(origin, text, label)
    if columns["label_column"] is None and not (classes or current.data.classes):
        raise BadInput(f"{source}: without labels the classes need names.\n{NO_LABELS}")
    used = {setting: name for setting, name in columns.items() if name is not None}
    named = _described(classes) or (None if columns["label_column"] else current.data.classes)
    data = origin.settings | columns | origin.format_settings(used, given)
    data |= {"unlabelled": origin.unlabelled, "labels_per_class": None, "classes": named}
    params = check_params(content | {"data": content["data"] | data}, f"{PARAMS} with {source}")
    with tempfile.TemporaryDirectory(prefix="stillhouse-init-") as cache:
        counts = count(params.data, params.seed, Path(cache))
        for line in report(counts, params):
            print(line)
    if counts.blank or counts.unlabelled:
        data["empty_texts"] = "drop"
    if not named and current.data.classes and set(counts.classes) <= set(current.data.classes):
        data["classes"] = current.data.classes  # their descriptions still hold
    changes = {"data": data, "register": {"name": name_of(params.data)}}
    shown = [f"  {section}.{key}: {_shown(value)}" for section, keys in changes.items() for key, value in keys.items()]
    if dry_run:
        print("\n".join(["", f"{PARAMS} stays as it is (--dry-run). It would have:", *shown]))
        return
    write_changes(Changes.model_validate(changes), PARAMS, nulls=True)
    print("\n".join(["", f"{PARAMS} now has:", *shown, "", "Next: stillhouse run"]))


def _columns(origin: Origin, text: str | None, label: str | None) -> dict[str, str | None]:
    """Return the columns for ``data.text_column`` and ``data.label_column``: those given, or else those found."""
    given = {"text_column": text or None, "label_column": label or None}
    wanted = Wanted({setting: name for setting, name in given.items() if name}, Format.model_validate(AUTO), "--")
    wanted.check(origin.where, origin.schema.names)
    check_types(origin.where, origin.schema, wanted)
    if text and (label is not None):
        return given
    columns = profile_columns(origin.columns, origin.batches(), origin.class_names)
    given["text_column"] = text or choose_text(origin.where, [one for one in columns if one.name != label])
    if label is None:
        others = [one for one in columns if one.name != given["text_column"]]
        given["label_column"] = choose_label(origin.where, others)
    return given


def _described(classes: list[str]) -> dict[str, str | None] | None:
    """Return the names of the options ``--class`` with their descriptions; None without such options."""
    parts = [one.partition(":") for one in classes]
    return {name.strip(): about.strip() or None for name, _, about in parts} or None


def _shown(value: object) -> str:
    return "null" if value is None else "tab" if value == "\t" else str(value)


@command
def main(**options: Any) -> None:
    """Run the command. ``options`` are the arguments of :func:`init`."""
    init(**options)


if __name__ == "__main__":
    from flows.cli import main as start

    start("init")
