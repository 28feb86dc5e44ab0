"""The fine-tuning of a teacher on several ranks."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from tokenizers import Tokenizer

from stillhouse.data.splits import label_names
from stillhouse.distillation.finetune import finetune
from stillhouse.distillation.hints import Hints
from stillhouse.distillation.log import Log
from stillhouse.distillation.parallel.group import Group
from stillhouse.distillation.parallel.launch import run_ranks
from stillhouse.distillation.parallel.nodes import node_count
from stillhouse.distillation.parallel.sharded import whole_weights
from stillhouse.distillation.parallel.stored import open_array, open_dataset, stored_array, stored_dataset
from stillhouse.errors import BadInput
from stillhouse.models.device import leave_gpu
from stillhouse.models.pretrained import load_pretrained
from stillhouse.models.teacher import Teacher
from stillhouse.params import Network, OneTeacher

WEIGHTS, HISTORY = "trained.pt", "history.json"


def finetune_on_ranks(
    teacher: Teacher,
    train: Dataset,
    validation: Dataset,
    settings: OneTeacher,
    hints: Hints,
    *,
    processes: int,
    device: torch.device,
    seed: int,
    scratch: Path,
    log: Log,
) -> list[dict[str, float]]:
    """Fine-tune as :func:`~stillhouse.distillation.finetune.finetune` does, on ``processes`` ranks of each node.

    Each rank loads the checkpoint ``settings.model`` itself, with the same seed.

    Raises:
        TrainingDiverged: the loss or the gradient became NaN or infinite.
        BadInput: the memory of a GPU does not suffice, or ``processes`` does not divide the batch size.
        StillhouseError: a rank failed or was killed.
    """
    if settings.batch_size % (ranks := processes * node_count()):
        raise BadInput(
            f"teacher.batch_size is {settings.batch_size}, which {ranks} processes (flow.processes) cannot share "
            f"equally. Set a multiple of {ranks}."
        )
    folder = scratch / "job"
    shutil.rmtree(folder, ignore_errors=True)  # of a training that was interrupted
    folder.mkdir()
    job = {
        "kind": "teacher",
        "device": device.type,
        "train": stored_dataset(train, folder / "train"),
        "validation": stored_dataset(validation, folder / "validation"),
        "settings": settings.model_dump(),
        "hints": {
            "kind": hints.kind,
            "logits": stored_array(hints.logits, folder / "logits.npy"),
            "network": hints.network and hints.network.model_dump(),
            "tokenizer": hints.tokenizer and hints.tokenizer.to_str(),
        },
        "seed": seed,
        "scratch": str(scratch),
    }
    leave_gpu(teacher.model)
    run_ranks(folder, job, processes, log, node_count())
    teacher.model.load_state_dict(torch.load(folder / WEIGHTS, weights_only=True, mmap=True))
    teacher.model.eval().to(device)
    history: list[dict[str, float]] = json.loads((folder / HISTORY).read_text(encoding="utf-8"))
    shutil.rmtree(folder)
    return history


def run(job: dict[str, Any], folder: Path, group: Group, device: torch.device, log: Log) -> None:
    """Run one rank of :func:`finetune_on_ranks`. The first rank writes the weights and the history."""
    settings, train, hints = OneTeacher.model_validate(job["settings"]), open_dataset(job["train"]), job["hints"]
    torch.manual_seed(job["seed"])
    teacher = load_pretrained(settings, label_names(train))
    history = finetune(
        teacher,
        train,
        open_dataset(job["validation"]),
        settings,
        Hints(
            hints["kind"],
            open_array(hints["logits"]),
            hints["network"] and Network.model_validate(hints["network"]),
            hints["tokenizer"] and Tokenizer.from_str(hints["tokenizer"]),
        ),
        device=device,
        seed=job["seed"],
        scratch=Path(job["scratch"]),
        log=log,
        group=group,
    )
    weights = whole_weights(teacher.model)
    if group.first:
        torch.save(weights, folder / WEIGHTS)
        (folder / HISTORY).write_text(json.dumps(history), encoding="utf-8")
