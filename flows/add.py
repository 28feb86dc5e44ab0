"""``stillhouse add``: add labels of people to the data, from a CSV file that ``stillhouse next`` wrote or any table."""

import time
from pathlib import Path
from typing import Any

from flows.shared.environment import own_prefect_home

own_prefect_home()

from flows.shared.scoring import format_of
from flows.shared.stopping import command
from stillhouse.data.added import append_added, read_added
from stillhouse.data.readers import Wanted, check_types, open_table
from stillhouse.data.splits import label_names, read_split
from stillhouse.errors import BadInput
from stillhouse.labelling.adding import check_rows, find_texts, read_rows
from stillhouse.params import load_params
from stillhouse.pipeline.artefacts import path
from stillhouse.pipeline.stages import SPLITS


def add(
    source: str,
    text_column: str,
    label_column: str,
    new_classes: bool,
    replace: bool,
    delimiter: str,
    quoting: str,
    escape: str,
    encoding: str,
) -> None:
    """Check the rows of ``source`` that have a label, and append them to ``data.added_labels``.

    Args:
        source: a table with a text and a label in each row.
        text_column: the column with the texts.
        label_column: the column with the labels; a row without a label is left out.
        new_classes: accept labels that are no class of the data yet.
        replace: accept labels that differ from the ones that the texts have.
        delimiter: of the source, like ``data.delimiter``.
        quoting: like ``data.quoting``.
        escape: like ``data.escape``.
        encoding: like ``data.encoding``.

    Raises:
        BadInput: a row cannot be used, no row has a label, or the texts were not prepared. Nothing is added.
    """
    data, file = load_params().data, Path(source)
    columns = {"text_column": text_column, "label_column": label_column}
    wanted = Wanted(columns, format_of(delimiter, quoting, escape, encoding), "--")
    if not all(path(name).exists() for name in SPLITS):
        raise BadInput("There are no prepared texts yet. Run: dvc repro prepare")
    if data.added_labels is None:
        raise BadInput("data.added_labels is null in params.yaml. Set it to the file for the labels: added_labels.csv")
    if new_classes and data.classes is not None:
        raise BadInput(
            "data.classes in params.yaml names the classes. Add the new ones there instead of --new-classes."
        )
    table = open_table(file, wanted)
    check_types(file, table.schema, wanted)
    rows, empty = read_rows(table, wanted)
    if not rows:
        raise BadInput(f"{file}: no row has a label in the column {label_column!r} ({empty} rows are empty there).")
    target = Path(data.added_labels)
    added, splits = read_added(data.added_labels), [(name, read_split(path(name))) for name in SPLITS]
    known = find_texts({row.key for row in rows}, splits, added)
    classes = list(dict.fromkeys([*label_names(splits[0][1]), *added.values()]))
    accepted = check_rows(rows, known, classes, file, new_classes, replace)
    if accepted:
        pairs = [(known[row.key].text, row.label) for row in accepted]
        append_added(target, pairs, time.strftime("%Y-%m-%d"))
    changed = sum(known[row.key].label is not None for row in accepted)
    counts = {
        "added": len(accepted) - changed,
        "changed": changed,
        "known already": len(rows) - len(accepted),
        "without a label": empty,
    }
    print(f"{target}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    print("The next run uses them: make run. Commit the file, so that each model names the labels it was trained on.")


@command
def main(**options: Any) -> None:
    """Run the command. ``options`` are the arguments of :func:`add`."""
    add(**options)


if __name__ == "__main__":
    from flows.cli import main as start

    start("add")
