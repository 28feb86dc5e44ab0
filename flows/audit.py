"""``stillhouse audit``: check with labelled answers whether the promise of a registered model still holds."""

import json
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.shared.environment import own_prefect_home

own_prefect_home()

import numpy as np

from flows.shared.deferring import AUDIT_COLUMNS
from flows.shared.notify import notify as send
from flows.shared.registered import PARAMS, connect_registry
from flows.shared.stopping import command
from stillhouse.data.readers import check_types, open_table, strings
from stillhouse.errors import BadInput, listed
from stillhouse.evaluation.confidence import LABELS, PARAMETERS, TEACHER
from stillhouse.evaluation.promise import Promise
from stillhouse.labelling.second import PEOPLE
from stillhouse.labelling.sheet import WANTED
from stillhouse.params import load_params
from stillhouse.serving.files import MIN_CONFIDENCE, PROMISES
from stillhouse.tracking.registry import fetch_model, get_version

BROKEN = 3  # exit status
ADDRESS = re.compile(r"models:/(.+)/(\d+)")


@dataclass(frozen=True)
class Audited:
    """The rows of an audit that have a label.

    Attributes:
        labels: of people or the teacher, objects (rows,).
        guesses: the student's answers, objects (rows,).
        probabilities: of these, float32 (rows,).
        model: the address of the student in the registry.
        by: ``labels`` or ``teacher``, the kind of the labels.
        empty: number of rows without a label.
    """

    labels: np.ndarray
    guesses: np.ndarray
    probabilities: np.ndarray
    model: str
    by: str
    empty: int


def read_audit(file: Path) -> Audited:
    """Read a file that ``stillhouse score --audit`` wrote.

    Raises:
        BadInput: it is another file, has rows of several models, or no row has a label.
    """
    table = open_table(file, WANTED)
    check_types(file, table.schema, WANTED)
    if missing := [name for name in AUDIT_COLUMNS if name not in table.schema.names]:
        raise BadInput(f"{file} has no column {missing[0]!r}: it is no file of `stillhouse score --audit`.")
    columns: dict[str, list[str]] = {name: [] for name in AUDIT_COLUMNS}
    for batch in table.batches(AUDIT_COLUMNS):
        for name, values in columns.items():
            column = strings(batch.column(batch.schema.get_field_index(name))).to_pylist()
            values.extend((value or "").strip() for value in column)
    for name in ("model", "labelled_by"):
        if len(found := sorted(set(columns[name]))) > 1:
            raise BadInput(
                f"{file}: the column {name!r} has several values: {listed(found)}. Audit each in its own file."
            )
    labels = np.array(columns["label"], object)
    rows = labels != ""
    if not rows.any():
        raise BadInput(f"{file}: no row has a label. Fill in the column label first.")
    try:
        probabilities = np.array(columns["probability"], np.float32)
    except ValueError as error:
        raise BadInput(f"{file}: the column 'probability' has a value that is no number ({error}).") from None
    guesses, by = np.array(columns["guess"], object), LABELS if columns["labelled_by"][0] == PEOPLE else TEACHER
    return Audited(labels[rows], guesses[rows], probabilities[rows], columns["model"][0], by, int((~rows).sum()))


def check(audited: Audited, config: dict[str, Any], model: str) -> Promise:
    """Compare the answers that the model did not defer with its promise.

    Args:
        audited: the labelled rows.
        config: the content of the model's ``config.json``.
        model: the model, for messages.

    Raises:
        BadInput: the model promises nothing about such labels.
    """
    promises = config.get(PROMISES, {})
    if audited.by not in promises:
        kind = "labels of people" if audited.by == LABELS else "answers of the teacher"
        raise BadInput(
            f"{model} was registered without a promise about {kind} (register.{PARAMETERS[audited.by]} in params.yaml)."
        )
    answered = audited.probabilities >= np.float32(config[MIN_CONFIDENCE])
    return Promise.of((audited.labels == audited.guesses)[answered], promises[audited.by], audited.by)


def _config(address: str, file: Path) -> dict[str, Any]:
    """Return ``config.json`` of a registered version."""
    found = ADDRESS.fullmatch(address)
    if not found:
        raise BadInput(f"{file}: the column 'model' is {address!r}, which is no registered version (models:/name/1).")
    name, number = connect_registry(found[1]), int(found[2])
    version = get_version(name, number)
    if version is None:
        raise BadInput(f"The registry has no version {number} of the model {name!r}.")
    with tempfile.TemporaryDirectory() as scratch:
        config: dict[str, Any] = json.loads((fetch_model(version, Path(scratch)) / "config.json").read_text("utf-8"))
    return config


@command
def main(answers: str, notify: bool) -> None:
    """Print the result. Exits with status 3 if the promise is shown to be broken.

    Args:
        answers: the file.
        notify: send the result to ``flow.notify``.
    """
    if notify and not PARAMS.is_file():
        raise BadInput(f"There is no {PARAMS} in {Path.cwd()}. --notify reads flow.notify there.")
    audited = read_audit(Path(answers))
    config = _config(audited.model, Path(answers))
    promise = check(audited, config, audited.model)
    lines = [f"{audited.model}: {promise.sentence}"]
    if audited.empty:
        lines.append(f"{audited.empty} rows have no label. The result is about the others.")
    if other := sorted(set(audited.labels) - set(config["labels"])):
        lines.append(f"Labels that are no class of the model count as errors: {listed(other)}.")
    message = "\n".join(lines)
    print(message)
    if notify:
        send(load_params().flow.notify, message)
    if promise.broken:
        sys.exit(BROKEN)


if __name__ == "__main__":
    from flows.cli import main as start

    start("audit")
