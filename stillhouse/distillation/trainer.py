"""The training loop of a student, for distillation and for the control."""

import logging
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from stillhouse.data.encoded import batches
from stillhouse.distillation.check import DESCRIPTIONS, Check, selected_epoch
from stillhouse.distillation.checkpoints import load_checkpoint, save_checkpoint
from stillhouse.distillation.examples import Examples
from stillhouse.distillation.log import Log
from stillhouse.distillation.objective import Distillation, HardLabels
from stillhouse.distillation.parallel.group import SEEDS, Group, in_turn
from stillhouse.distillation.parallel.step import SharedStep
from stillhouse.distillation.resident import resident
from stillhouse.distillation.schedules import warmup_cosine
from stillhouse.distillation.watch import Watch
from stillhouse.models.batching import explain_out_of_memory
from stillhouse.models.students.network import TextNetwork
from stillhouse.params import Training
from stillhouse.progress import Progress

logger = logging.getLogger(__name__)

CHECKPOINT = "last.pt"
CHECKPOINTS = 50  # most checkpoints of a training: writing one can take longer than a short epoch
HINT = "Lower student.training.learning_rate or student.training.clip_norm."
LESS_MEMORY = "Lower student.training.batch_size or student.network.max_length."


def train_student(
    network: TextNetwork,
    train: Examples,
    check: Check | None,
    objective: Distillation | HardLabels,
    settings: Training,
    *,
    device: torch.device,
    seed: int,
    scratch: Path,
    log: Log,
    group: Group | None = None,
) -> list[dict[str, float]]:
    """Train ``network`` in place, and load the weights of the epoch that :func:`selected_epoch` selects.

    The optimiser is AdamW, with linear warm-up, cosine decay and clipped gradients. With ``settings.average`` a moving
    average of the weights is measured and returned (Polyak and Juditsky 1992). A checkpoint is written after every
    epoch, or every few epochs if there are many. If ``scratch`` has a checkpoint, training resumes from it.

    Args:
        network: the student.
        train: the training texts with their signals.
        check: measures the network after each epoch; None: the last epoch is selected.
        objective: the loss.
        settings: everything under ``student.training`` in params.yaml.
        device: the device for the training.
        seed: of the order of the texts, and of dropout.
        scratch: a folder for the checkpoint.
        log: gets the metrics of every epoch and step.
        group: the ranks that train together; None: this process trains alone.

    Returns:
        One row for each epoch: ``epoch``, ``loss``, ``grad_norm``, and the measurements of ``check``.

    Raises:
        TrainingDiverged: the loss or a gradient became NaN or infinite, or the loss exploded.
        BadInput: the memory of the GPU does not suffice.
    """
    with explain_out_of_memory(LESS_MEMORY):
        return _train(network, train, check, objective, settings, device, seed, scratch, log, group)


def _train(
    network: TextNetwork,
    train: Examples,
    check: Check | None,
    objective: Distillation | HardLabels,
    settings: Training,
    device: torch.device,
    seed: int,
    scratch: Path,
    log: Log,
    group: Group | None,
) -> list[dict[str, float]]:
    torch.manual_seed(seed)
    epochs, steps = epochs_and_steps(settings, len(train.labels))
    loop, checkpoint = TrainingLoop(network, objective, settings, epochs * steps, device, group), scratch / CHECKPOINT
    other = group.rank if group else 0  # the number of a rank that only computes
    in_turn(group, lambda: loop.resume(checkpoint))  # which renames a damaged checkpoint
    train = resident(train, device, objective.needs)
    first, progress = len(loop.history), Progress(logger)
    if first:
        logger.info("resuming after epoch %d of %d", first, epochs)
    # The bar is shown on a terminal only: in a log file each refresh would be a line.
    for epoch in tqdm(range(first, epochs), initial=first, total=epochs, unit="epoch", disable=True if other else None):
        if other:  # the first rank draws the random numbers that a process alone would draw
            torch.manual_seed(seed + epoch + other * SEEDS)
        loop.run_epoch(train, batches(train.encoded.lengths, settings.batch_size, seed + epoch), epoch * steps)
        loop.measure(None if other else check)
        _report(log, loop.watch, loop.history[-1], epochs, progress)
        if not other and ((epoch + 1) % math.ceil(epochs / CHECKPOINTS) == 0 or epoch + 1 == epochs):
            loop.save(checkpoint)
    loop.finish()
    return loop.history


def epochs_and_steps(settings: Training, texts: int) -> tuple[int, int]:
    """Return the number of epochs over so many texts, and of the steps of each."""
    steps = math.ceil(texts / settings.batch_size)
    return max(settings.epochs, math.ceil(settings.min_updates / steps)), steps


class TrainingLoop:
    """The state of a training: network, optimiser, history, and the weights of the selected epoch so far."""

    def __init__(
        self,
        network: TextNetwork,
        objective: Distillation | HardLabels,
        settings: Training,
        updates: int,
        device: torch.device,
        group: Group | None = None,
    ) -> None:
        self.network, self.objective, self.device = network, objective, device
        self.learner = nn.ModuleDict({"network": network, "objective": objective}).to(device)
        self.updates, self.clip_norm = updates, settings.clip_norm
        # The fused form saves a fifth of a step on a CPU.
        groups = _groups(self.learner, settings.weight_decay)
        self.optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, warmup_cosine(updates, settings.warmup))
        self.average = _average(network, settings.average)
        self.evaluated: nn.Module = self.average.module if self.average else network
        self.watch = Watch(HINT)
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Tensor] = {}
        self.shared = SharedStep(group, network, objective) if group else None

    def run_epoch(self, train: Examples, order: Iterable[np.ndarray], done: int) -> None:
        """Train one epoch, with one update for each batch of row numbers in ``order``; ``done`` updates came before."""
        self.learner.train()
        self.watch.begin(len(self.history), done)
        for index, rows in enumerate(order, done):
            self.optimizer.zero_grad(set_to_none=True)
            loss = self._backward(train, rows, index / max(1, self.updates - 1))
            self.watch.step(loss, nn.utils.clip_grad_norm_(self.learner.parameters(), self.clip_norm))
            self.optimizer.step()
            self.schedule.step()
            if self.average:
                self.average.update_parameters(self.network)

    def _backward(self, train: Examples, rows: np.ndarray, progress: float) -> Tensor:
        if self.shared:
            return self.shared.backward(train, rows, self.device, progress)
        batch = train.batch(rows, self.device, self.objective.needs)
        loss: Tensor = self.objective(self.network, batch, progress)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    def measure(self, check: Check | None) -> None:
        """Add the metrics of the epoch to the history. Copy its weights if it is the selected epoch so far."""
        row = {"epoch": len(self.history) + 1.0, **self.watch.summary()}
        if check:
            row |= check.measure(self.evaluated, self.device)
        self.history.append(row)
        if selected_epoch(self.history, check) is row:
            self.best = {name: value.cpu().clone() for name, value in self.evaluated.state_dict().items()}

    def save(self, checkpoint: Path) -> None:
        """Write everything that resuming needs."""
        states = {name: part.state_dict() for name, part in self._parts().items()}
        if self.device.type == "cuda":  # dropout uses the random numbers of the GPU
            states["random_cuda"] = torch.cuda.get_rng_state(self.device)
        progress = {"random": torch.get_rng_state(), "history": self.history, "start": self.watch.start}
        save_checkpoint(states | progress | {"best": self.best}, checkpoint)

    def resume(self, checkpoint: Path) -> None:
        """Resume from ``checkpoint``, if it exists."""
        if state := load_checkpoint(checkpoint):
            for name, part in self._parts().items():
                part.load_state_dict(state[name])
            torch.set_rng_state(state["random"])
            if self.device.type == "cuda" and "random_cuda" in state:
                torch.cuda.set_rng_state(state["random_cuda"], self.device)
            self.history, self.watch.start, self.best = state["history"], state["start"], state["best"]

    def finish(self) -> None:
        """Load the weights of the selected epoch into the network, and move it to the CPU."""
        self.network.load_state_dict(self.best)
        self.network.to("cpu").eval()

    def _parts(self) -> dict[str, Any]:
        parts = {"learner": self.learner, "optimizer": self.optimizer, "schedule": self.schedule}
        return parts | ({"average": self.average} if self.average else {})


def _report(log: Log, watch: Watch, row: dict[str, float], epochs: int, progress: Progress) -> None:
    epoch = int(row["epoch"])
    log.metrics({name: value for name, value in row.items() if name != "epoch"}, epoch)
    first, norms = watch.norms()
    log.series("step_grad_norm", norms, first)
    measured = "".join(f", {DESCRIPTIONS[name]} {row[name]:.4f}" for name in DESCRIPTIONS if name in row)
    progress.step("epoch", epoch, epochs, f"loss {row['loss']:.4f}{measured}")


def _average(network: nn.Module, decay: float) -> AveragedModel | None:
    if not decay:
        return None
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(network, multi_avg_fn=average, use_buffers=True)


def _groups(learner: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return parameter groups: weight decay for matrices and filters, none for norms and biases."""
    decay = [parameter for parameter in learner.parameters() if parameter.ndim > 1]
    plain = [parameter for parameter in learner.parameters() if parameter.ndim <= 1]
    return [{"params": decay, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
