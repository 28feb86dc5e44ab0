"""Reads the files of a served model, and refuses damaged ones.

A registered model carries a copy of this file.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stillhouse.serving.networks import ONNX, TABLES
from stillhouse.task import TASK

MIN_CONFIDENCE = "min_confidence"  # the key of the threshold in config.json
PROMISES = "promises"  # the key of what was certified with it: least shares of right answers, by the reference


@dataclass(frozen=True)
class ModelFiles:
    """The contents of a model's files.

    Attributes:
        networks: ``model.onnx``, or ``tables.npz``, or both: the tables then answer first.
        early_exit: the least probability of a class at which the answer of the tables is final, if there are both.
        tokenizer: as JSON.
        labels: the names of the classes, in the order of the logits.
        max_length: how many word pieces of a text the networks read.
        common: frequent chunks of text with their word pieces (:class:`~stillhouse.serving.chunks.Chunks`).
        min_confidence: the least probability of an answer that is not deferred; 0 defers nothing.
    """

    networks: Mapping[str, bytes]
    early_exit: float
    tokenizer: str
    labels: Sequence[str]
    max_length: int
    common: Mapping[str, Sequence[int]]
    min_confidence: float = 0.0


def read_model(folder: str | Path) -> ModelFiles:
    """Read the networks, ``tokenizer.json``, ``chunks.json`` and ``config.json`` from ``folder``.

    Args:
        folder: a folder that the stage ``compress`` wrote, or a registered version such as ``models:/name@champion``.

    Raises:
        FileNotFoundError: the folder, or one of the files, does not exist.
        ModuleNotFoundError: ``folder`` names a registered version and MLflow is not installed.
        ValueError: a file is damaged, another version of Stillhouse wrote the folder, or the model has another task
            type.
    """
    folder = _downloaded(str(folder)) if str(folder).startswith("models:/") else Path(folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    _check_digests(folder, config.get("sha256", {}))
    _check_task(folder, config.get("task", TASK.name))  # missing in a version registered before it was recorded
    return ModelFiles(
        {name: (folder / name).read_bytes() for name in (ONNX, TABLES) if name in config["sha256"]},
        config.get("early_exit", 0.0),
        (folder / "tokenizer.json").read_text("utf-8"),
        config["labels"],
        config["max_length"],
        json.loads((folder / "chunks.json").read_text("utf-8")),
        config.get(MIN_CONFIDENCE, 0.0),
    )


def _check_task(folder: Path, name: str) -> None:
    if name != TASK.name:
        raise ValueError(
            f"{folder} has the task type {name!r}; this version of Stillhouse knows {TASK.name!r} only. Install the "
            "version that made the model."
        )


def _check_digests(folder: Path, digests: dict[str, str]) -> None:
    if not digests:
        raise ValueError(f"{folder} was made by an earlier version. Run the stage compress again (dvc repro compress).")
    for name, digest in digests.items():
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
            raise ValueError(f"{folder / name} is damaged: it is not the file that was written. Fetch it again.")


def _downloaded(uri: str) -> Path:
    from stillhouse.tracking.address import download_model

    try:
        return download_model(uri)  # MLflow may be missing where models are only served
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{uri} is a registered version, and MLflow is not installed. Install it (pip install "
            "'stillhouse[pipeline]'), or name the folder of a model.",
            name=error.name,
        ) from error
