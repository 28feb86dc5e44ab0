"""The arguments of transformers' Trainer for the fine-tuning of a teacher."""

import math
import sys
from pathlib import Path

import torch
from transformers import TrainingArguments

from stillhouse.distillation.parallel.sharded import complete_sharding, sharding
from stillhouse.models.device import use_bf16, use_compile
from stillhouse.models.teacher import Teacher
from stillhouse.params import OneTeacher as Settings

LOGGED_EVERY = 10  # steps


def trainer_arguments(
    settings: Settings,
    teacher: Teacher,
    texts: int,
    validated: bool,
    device: torch.device,
    seed: int,
    scratch: Path,
    ranks: int = 1,
) -> TrainingArguments:
    """Return the arguments of transformers' Trainer.

    Args:
        settings: of the teacher.
        teacher: the model that is sharded with ``settings.fsdp``.
        texts: number of training texts.
        validated: whether there are validation texts, which select the checkpoint.
        device: the device for the training.
        seed: of the order of the texts and dropout.
        scratch: a folder for checkpoints.
        ranks: number of processes that share a batch.
    """
    batches = math.ceil(texts / settings.batch_size)
    updates = max(1, math.ceil(batches / settings.gradient_accumulation))
    total = math.ceil(updates * settings.epochs)
    every = min(max(1, round(updates / settings.checkpoints_per_epoch)), total)
    arguments = TrainingArguments(
        output_dir=str(scratch),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size // ranks,
        per_device_eval_batch_size=settings.batch_size * 4,
        gradient_accumulation_steps=settings.gradient_accumulation,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=round(settings.warmup * total),
        eval_strategy="steps" if validated else "no",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=1,  # in addition to the best
        load_best_model_at_end=validated,
        metric_for_best_model="accuracy",
        greater_is_better=True,
        logging_steps=min(LOGGED_EVERY, every),
        logging_nan_inf_filter=False,  # Watch needs the NaN
        train_sampling_strategy="group_by_length",
        length_column_name="length",
        bf16=use_bf16(settings.bf16, device),
        torch_compile=use_compile(settings.compile, device),
        use_cpu=device.type == "cpu",
        dataloader_pin_memory=device.type == "cuda",
        accelerator_config={"non_blocking": device.type == "cuda"},  # batches are copied while the GPU computes
        seed=seed,
        ddp_find_unused_parameters=True if ranks > 1 else None,
        report_to="none",
        # Without a terminal each refresh of the bar would be a separate line.
        disable_tqdm=not sys.stderr.isatty(),
        **(sharding(teacher) if settings.fsdp else {}),
    )
    if settings.fsdp:
        complete_sharding(arguments)
    return arguments
