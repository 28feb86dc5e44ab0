"""The training of a student on several ranks."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_model, save_model
from torch import nn

from stillhouse.data.encoded import Encoded
from stillhouse.distillation.check import Check
from stillhouse.distillation.checkpoints import load_checkpoint
from stillhouse.distillation.examples import Examples
from stillhouse.distillation.log import Log
from stillhouse.distillation.objective import Distillation, HardLabels
from stillhouse.distillation.parallel.group import Group
from stillhouse.distillation.parallel.launch import run_ranks
from stillhouse.distillation.parallel.nodes import node_count
from stillhouse.distillation.parallel.stored import open_array, stored_array
from stillhouse.distillation.trainer import CHECKPOINT, train_student
from stillhouse.models.students.architectures import ARCHITECTURES
from stillhouse.models.students.student import Student
from stillhouse.params import Network, Training, Varying

START = "start.safetensors"


def train_on_ranks(
    student: Student,
    train: Examples,
    check: Check | None,
    objective: Distillation | HardLabels,
    settings: Training,
    *,
    processes: int,
    device: torch.device,
    seed: int,
    scratch: Path,
    log: Log,
) -> list[dict[str, float]]:
    """Train as :func:`~stillhouse.distillation.trainer.train_student` does, on ``processes`` ranks of each node.

    The checkpoints are the same, so a training can resume with another number of ranks.

    Raises:
        TrainingDiverged: the loss or a gradient became NaN or infinite, or the loss exploded.
        BadInput: the memory of a GPU does not suffice.
        StillhouseError: a rank failed or was killed.
    """
    folder = scratch / "job"
    shutil.rmtree(folder, ignore_errors=True)  # of a training that was interrupted
    folder.mkdir()
    save_model(_learner(student.network, objective), str(folder / START))
    job = {
        "kind": "student",
        "device": device.type,
        "network": student.settings.model_dump(),
        "vocabulary": student.tokenizer.get_vocab_size(),
        "classes": len(student.label_names),
        "objective": _stored_objective(objective),
        "train": _stored_examples(train, folder, "train"),
        "check": {"kind": check.kind, **_stored_examples(check.examples, folder, "check")} if check else None,
        "training": settings.model_dump(),
        "seed": seed,
        "scratch": str(scratch),
    }
    run_ranks(folder, job, processes, log, node_count())
    state = load_checkpoint(scratch / CHECKPOINT)
    assert state is not None, "the first rank writes a checkpoint after the last epoch"
    student.network.load_state_dict(state["best"])
    student.network.eval()
    shutil.rmtree(folder)
    history: list[dict[str, float]] = state["history"]
    return history


def run(job: dict[str, Any], folder: Path, group: Group, device: torch.device, log: Log) -> None:
    """Run one rank of :func:`train_on_ranks`."""
    settings = Network.model_validate(job["network"])
    network = ARCHITECTURES[settings.architecture](job["vocabulary"], job["classes"], settings)
    objective = _objective(job["objective"], network.features)
    load_model(_learner(network, objective), str(folder / START))
    check = job["check"] and Check(job["check"]["kind"], _examples(job["check"]))
    train_student(
        network,
        _examples(job["train"]),
        check,
        objective,
        Training.model_validate(job["training"]),
        device=device,
        seed=job["seed"],
        scratch=Path(job["scratch"]),
        log=log,
        group=group,
    )


def _learner(network: nn.Module, objective: nn.Module) -> nn.Module:
    return nn.ModuleDict({"network": network, "objective": objective})


def _stored_objective(objective: Distillation | HardLabels) -> dict[str, Any] | None:
    if isinstance(objective, HardLabels):
        return None
    schedules = {"alpha": objective.alpha, "temperature": objective.temperature}
    projected = objective.projection.out_features if isinstance(objective.projection, nn.Linear) else None
    plain = {name: one.model_dump() if isinstance(one, Varying) else one for name, one in schedules.items()}
    return {"losses": objective.losses, "projected": projected, **plain}


def _objective(stored: dict[str, Any] | None, features: int) -> Distillation | HardLabels:
    if stored is None:
        return HardLabels()
    alpha, temperature = (
        Varying.model_validate(stored[name]) if isinstance(stored[name], dict) else stored[name]
        for name in ("alpha", "temperature")
    )
    projection = nn.Linear(features, stored["projected"]) if stored["projected"] else nn.Identity()
    return Distillation(stored["losses"], alpha, temperature, projection)


def _stored_examples(examples: Examples, folder: Path, name: str) -> dict[str, Any]:
    encoded = examples.encoded
    arrays = {"ids": encoded.ids, "offsets": encoded.offsets, "words": encoded.words, "labels": examples.labels}
    arrays |= {"logits": examples.logits, "features": examples.features, "relations": examples.relations}
    arrays |= {"signal_rows": examples.signal_rows}
    return {key: stored_array(array, folder / f"{name}-{key}.npy") for key, array in arrays.items()}


def _examples(stored: dict[str, Any]) -> Examples:
    arrays = {key: open_array(value) for key, value in stored.items() if key != "kind"}
    ids, offsets, labels = arrays.pop("ids"), arrays.pop("offsets"), arrays.pop("labels")
    assert ids is not None and offsets is not None and labels is not None
    return Examples(Encoded(ids, offsets, arrays.pop("words")), np.array(labels), **arrays)
