"""Stage ``teacher``: fine-tune the large model (optionally regularised by a small one) or train a linear probe."""

import logging
from pathlib import Path

import torch

from stillhouse.data.language import warn_about_language
from stillhouse.data.splits import label_names
from stillhouse.distillation.hints import read_hints
from stillhouse.distillation.scratch import identity, mark_finished, scratch_folder
from stillhouse.distillation.teaching import train_teacher
from stillhouse.files import write_csv
from stillhouse.models.device import choose_device
from stillhouse.models.pretrained import load_pretrained
from stillhouse.models.teacher import Teacher, teacher_md5
from stillhouse.pipeline.artefacts import is_replaced
from stillhouse.pipeline.context import Context
from stillhouse.pipeline.stage import Metrics, command

logger = logging.getLogger(__name__)


def teacher(context: Context) -> Metrics:
    """Write ``model/`` (safetensors and tokenizer), ``vectors/`` and ``training.csv``."""
    params, names = context.params, ("train", "validation", "unlabelled")
    for name in names[:2]:
        context.run.dataset(context.path(name), name)
    train, validation, unlabelled = context.read(*names)
    warn_about_language(params.teacher, train)
    settings = params.teacher
    if is_replaced(context.path("label/splits"), "train"):
        logger.info("no co-training: the stage label did one round, and more made labels of descriptions worse")
        settings = settings.model_copy(update={"cotraining": 0})
    hints = context.path("control/hints")
    device = choose_device(context.device)
    seed = params.seed if params.teacher.seed is None else params.teacher.seed
    inputs = {name: context.path(name) for name in names} | {"hints": hints}

    def load() -> Teacher:
        torch.manual_seed(seed)  # for the weights of the new head
        return load_pretrained(params.teacher, label_names(train))

    def scratch(pretrained: Teacher) -> Path:
        whole = inputs | {"pretrained": teacher_md5(pretrained)}
        return scratch_folder("teacher", identity(settings.model_dump(), seed, device.type, whole))

    trained = train_teacher(
        load,
        train,
        validation,
        unlabelled,
        settings,
        read_hints(hints),
        device=device,
        seed=seed,
        scratch=scratch,
        log=context.run,
    )
    trained.teacher.save(context.out / "model")
    trained.vectors.save(context.out / "vectors")
    write_csv(context.out / "training.csv", trained.history)
    mark_finished("teacher")
    best = max(trained.history, key=lambda row: row.get("validation_accuracy", 0.0))
    return {"parameters": sum(p.numel() for p in trained.teacher.model.parameters()), **best}


if __name__ == "__main__":
    command("teacher", teacher)
