"""Fine-tuning the teacher with transformers' Trainer."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import nn
from transformers import PrinterCallback, TrainerCallback

from stillhouse.data.encoded import encode_texts
from stillhouse.data.splits import label_names
from stillhouse.distillation.checkpoints import last_trainer_checkpoint
from stillhouse.distillation.hints import Hints
from stillhouse.distillation.log import Log
from stillhouse.distillation.parallel.group import Group, in_turn
from stillhouse.distillation.parallel.nodes import node_count
from stillhouse.distillation.parallel.order import OwnSeed, SharedTrainer
from stillhouse.distillation.parallel.sharded import Sharded, join_shared_embeddings
from stillhouse.distillation.regularised import MutualTeacher, ReversedTeacher, parameter_groups
from stillhouse.distillation.teacher_trainer import TeacherTrainer
from stillhouse.distillation.trainer_arguments import LOGGED_EVERY, trainer_arguments
from stillhouse.distillation.watch import Watch
from stillhouse.models.batching import PaddingCollator, explain_out_of_memory
from stillhouse.models.students.student import build_student
from stillhouse.models.teacher import Teacher
from stillhouse.params import OneTeacher as Settings
from stillhouse.progress import Progress
from stillhouse.task import TASK

logger = logging.getLogger(__name__)

HINT = "Lower teacher.learning_rate."


def finetune(
    teacher: Teacher,
    train: Dataset,
    validation: Dataset,
    settings: Settings,
    hints: Hints,
    *,
    device: torch.device,
    seed: int,
    scratch: Path,
    log: Log,
    processes: int = 1,
    group: Group | None = None,
) -> list[dict[str, float]]:
    """Fine-tune ``teacher`` in place, and load the checkpoint that is best on validation.

    Without validation texts it is the last checkpoint. Batches have texts of similar length, padded to the longest.
    If ``scratch`` has a complete checkpoint, training resumes from it.

    Args:
        teacher: a classifier with as many outputs as ``train`` has classes.
        train: has the columns ``text`` and ``label``.
        validation: has the same columns. It selects the checkpoint and may be empty.
        settings: of this teacher.
        hints: of the simple model if ``settings.regularise`` needs one.
        device: the device for the training.
        seed: of the new head, the order of the texts, and dropout.
        scratch: a folder for checkpoints.
        log: gets the metrics of each step.
        processes: number of processes that train together. This function then starts them.
        group: the ranks that train together, in a process that was started so.

    Returns:
        One row for each checkpoint: ``epoch``, ``loss``, ``validation_loss``, ``validation_accuracy`` and
        ``validation_macro_f1``. Without validation texts one row with the first two.

    Raises:
        TrainingDiverged: the loss or the gradient became NaN or infinite.
        BadInput: the memory of the GPU does not suffice, or ``processes`` does not divide the batch size.
    """
    if not group and (processes > 1 or node_count() > 1):
        from stillhouse.distillation.parallel.teacher import finetune_on_ranks  # which imports this module

        options: dict[str, Any] = {"device": device, "seed": seed, "scratch": scratch, "log": log}
        return finetune_on_ranks(teacher, train, validation, settings, hints, processes=processes, **options)
    learner = _learner(teacher, train, settings, hints, seed, scratch)
    columns: dict[str, Any] = {}
    if hints.logits is not None:
        columns["hint"] = list(hints.logits)
    elif hints.network is not None:
        columns["row"] = list(range(len(train)))
    ranks = group.size if group else 1
    if settings.fsdp:
        join_shared_embeddings(learner)
    arguments = trainer_arguments(settings, teacher, len(train), len(validation) > 0, device, seed, scratch, ranks)
    cache = scratch
    if group:
        cache = scratch / f"rank-{group.rank}"
        cache.mkdir(exist_ok=True)
    trainer = (SharedTrainer if group else TeacherTrainer)(
        model=learner,
        args=arguments,
        train_dataset=_tokenize(train, teacher, cache / "train.arrow", columns),
        eval_dataset=_tokenize(validation, teacher, cache / "validation.arrow", {}) if len(validation) else None,
        data_collator=PaddingCollator(teacher.tokenizer),
        processing_class=teacher.tokenizer,
        compute_metrics=_metrics,
        # Encoder-decoders return states beside the logits.
        preprocess_logits_for_metrics=lambda logits, _: logits[0] if isinstance(logits, tuple) else logits,
        callbacks=[
            _Watcher(log),
            *([OwnSeed(group, seed)] if group else []),
            *([Sharded()] if settings.fsdp else []),
        ],
        optimizer_cls_and_kwargs=(
            torch.optim.AdamW,
            {
                "params": parameter_groups(
                    learner, settings.learning_rate, settings.weight_decay, settings.mutual.learning_rate
                ),
                "lr": settings.learning_rate,
                "fused": True,
            },
        ),
    )
    # All losses here are means over a batch, so the Trainer must divide accumulated gradients by their number.
    trainer.model_accepts_loss_kwargs = False
    trainer.remove_callback(PrinterCallback)  # _Watcher logs the same numbers
    last = in_turn(group, lambda: last_trainer_checkpoint(scratch))  # which removes damaged ones
    if last:
        logger.info("resuming from %s", last)
    advice = f"Lower teacher.batch_size ({settings.batch_size}) and raise teacher.gradient_accumulation by as much"
    with explain_out_of_memory(f"{advice}, lower teacher.max_length, or with several GPUs set teacher.fsdp: true."):
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    teacher.model.eval()
    return _rows(trainer.state.log_history)


def _learner(teacher: Teacher, train: Dataset, settings: Settings, hints: Hints, seed: int, scratch: Path) -> nn.Module:
    if settings.regularise != hints.kind:
        raise AssertionError(f"the hints are for {hints.kind}")
    if hints.kind == "reversed":
        return ReversedTeacher(teacher.model, settings.reversed)
    if hints.network is not None and hints.tokenizer is not None:
        torch.manual_seed(seed)
        peer = build_student(hints.tokenizer, label_names(train), hints.network).network
        texts = encode_texts([train], hints.tokenizer, hints.network.reads, scratch / "peer")
        peer.initialise_wide(texts)
        return MutualTeacher(teacher.model, peer, texts, settings.mutual)
    return teacher.model


def _tokenize(dataset: Dataset, teacher: Teacher, cache: Path, columns: dict[str, Any]) -> Dataset:
    tokens = dataset.map(
        _encode,
        batched=True,
        remove_columns=dataset.column_names,
        fn_kwargs={"tokenizer": teacher.tokenizer, "max_length": teacher.max_length, "prompt": teacher.prompt},
        cache_file_name=str(cache),
        load_from_cache_file=False,
    )
    for name, values in columns.items():
        tokens = tokens.add_column(name, values)
    return tokens


def _encode(batch: dict[str, list[Any]], tokenizer: Any, max_length: int, prompt: str) -> dict[str, list[Any]]:
    tokens = dict(tokenizer([prompt + text for text in batch["text"]], truncation=True, max_length=max_length))
    return {**tokens, "labels": batch["label"], "length": [len(ids) for ids in tokens["input_ids"]]}


def _metrics(prediction: Any) -> dict[str, float]:
    return TASK.metrics(prediction.label_ids, TASK.decision(np.asarray(prediction.predictions)))


def _rows(log: list[dict[str, float]]) -> list[dict[str, float]]:
    """Return a row for each evaluation, with the last training loss before it; without evaluations the last loss."""
    names = {"epoch": "epoch", "eval_loss": "validation_loss", "eval_accuracy": "validation_accuracy"}
    names["eval_macro_f1"] = "validation_macro_f1"
    rows, last = [], {"epoch": 0.0, "loss": 0.0}
    for entry in log:
        if "loss" in entry:
            last = {name: entry[name] for name in last}
        if "eval_accuracy" in entry:
            rows.append(last | {new: entry[old] for old, new in names.items()})
    return rows or [last]


class _Watcher(TrainerCallback):
    """Records and logs the metrics of the Trainer, and ends a training that diverges."""

    def __init__(self, log: Log) -> None:
        self.log, self.watch, self.progress = log, Watch(HINT, LOGGED_EVERY), Progress(logger)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Record metrics. The Trainer calls this every ``logging_steps`` and after each evaluation."""
        names = {"loss": "loss", "grad_norm": "grad_norm", "learning_rate": "learning_rate"}
        names |= {"eval_loss": "validation_loss", "eval_accuracy": "validation_accuracy"}
        names |= {"eval_macro_f1": "validation_macro_f1"}
        numbers = {new: float(logs[old]) for old, new in names.items() if logs and old in logs}
        if not numbers:
            return
        shown = ", ".join(f"{name} {value:.4g}" for name, value in numbers.items())
        self.progress.step("step", state.global_step, state.max_steps, shown)
        if "loss" in numbers and "grad_norm" in numbers:
            self.watch.epoch = int(state.epoch or 0)
            self.watch.step(torch.tensor(numbers["loss"]), torch.tensor(numbers["grad_norm"]))
            self.watch.check()
        self.log.metrics(numbers, state.global_step)
