"""The student's training loop, for distillation and for the control alike."""

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
from stillhouse.distillation.check import READABLE, Check, selected_epoch
from stillhouse.distillation.checkpoints import load_checkpoint, save_checkpoint
from stillhouse.distillation.examples import Examples
from stillhouse.distillation.log import Log
from stillhouse.distillation.objective import Distillation, HardLabels
from stillhouse.distillation.resident import resident
from stillhouse.distillation.schedules import warmup_cosine
from stillhouse.distillation.watch import Watch
from stillhouse.models.batching import memory_explained
from stillhouse.models.students.network import TextNetwork
from stillhouse.params import Training

logger = logging.getLogger(__name__)

CHECKPOINTS = 50  # of a training at most: where epochs are short, writing one would take longer than the epoch
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
) -> list[dict[str, float]]:
    """Train ``network`` in place and leave it with the weights of the epoch that :func:`selected_epoch` selects.

    AdamW, linear warm-up then cosine decay, clipped gradients, and where ``settings.average`` asks for it a
    moving average of the weights, which then is checked and returned (Polyak and Juditsky 1992). A
    checkpoint is written after every epoch (or every few, where there are very many); where ``scratch`` holds one,
    training goes on from it.

    Returns:
        One row an epoch: ``epoch``, ``loss``, ``grad_norm``, and what ``check`` measures.

    Raises:
        TrainingDiverged: the loss or a gradient became NaN or infinite, or the loss exploded.
        BadInput: the GPU's memory does not suffice.
    """
    with memory_explained(LESS_MEMORY):
        return _train(network, train, check, objective, settings, device, seed, scratch, log)


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
) -> list[dict[str, float]]:
    torch.manual_seed(seed)
    steps = math.ceil(len(train.labels) / settings.batch_size)
    epochs = max(settings.epochs, math.ceil(settings.min_updates / steps))
    learning, checkpoint = Learning(network, objective, settings, epochs * steps, device), scratch / "last.pt"
    learning.resume(checkpoint)
    train = resident(train, device, objective.needs)
    first = len(learning.history)
    if first:
        logger.info("going on after epoch %d of %d", first, epochs)
    # Shown on a terminal only: in a log each refresh would be a line.
    for epoch in tqdm(range(first, epochs), initial=first, total=epochs, unit="epoch", disable=None):
        learning.learn(train, batches(train.encoded.lengths, settings.batch_size, seed + epoch), epoch * steps)
        learning.measure(check)
        _report(log, learning.watch, learning.history[-1], epochs)
        if (epoch + 1) % math.ceil(epochs / CHECKPOINTS) == 0 or epoch + 1 == epochs:
            learning.save(checkpoint)
    learning.end()
    return learning.history


class Learning:
    """A network that learns: what moves it, how far it has come, and its best weights so far."""

    def __init__(
        self,
        network: TextNetwork,
        objective: Distillation | HardLabels,
        settings: Training,
        updates: int,
        device: torch.device,
    ) -> None:
        self.network, self.objective, self.device = network, objective, device
        self.learner = nn.ModuleDict({"network": network, "objective": objective}).to(device)
        self.updates, self.clip_norm = updates, settings.clip_norm
        # The fused form saves a fifth of a step on a CPU.
        groups = _groups(self.learner, settings.weight_decay)
        self.optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, warmup_cosine(updates, settings.warmup))
        self.average = _average(network, settings.average)
        self.kept: nn.Module = self.average.module if self.average else network
        self.watch = Watch(HINT)
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Tensor] = {}

    def learn(self, train: Examples, order: Iterable[np.ndarray], done: int) -> None:
        """One epoch, after ``done`` updates: every batch of row numbers in ``order`` moves the network once."""
        self.learner.train()
        self.watch.begin(len(self.history), done)
        for index, rows in enumerate(order, done):
            self.optimizer.zero_grad(set_to_none=True)
            batch = train.batch(rows, self.device, self.objective.needs)
            loss = self.objective(self.network, batch, index / max(1, self.updates - 1))
            loss.backward()
            self.watch.step(loss, nn.utils.clip_grad_norm_(self.learner.parameters(), self.clip_norm))
            self.optimizer.step()
            self.schedule.step()
            if self.average:
                self.average.update_parameters(self.network)

    def measure(self, check: Check | None) -> None:
        """Add the epoch's numbers to the history, and copy its weights if it is the selected epoch so far."""
        row = {"epoch": len(self.history) + 1.0, **self.watch.summary()}
        if check:
            row |= check.measure(self.kept, self.device)
        self.history.append(row)
        if selected_epoch(self.history, check) is row:
            self.best = {name: value.cpu().clone() for name, value in self.kept.state_dict().items()}

    def save(self, checkpoint: Path) -> None:
        """Write everything that going on needs."""
        states = {name: part.state_dict() for name, part in self._parts().items()}
        if self.device.type == "cuda":  # which draws the dropout
            states["random_cuda"] = torch.cuda.get_rng_state(self.device)
        progress = {"random": torch.get_rng_state(), "history": self.history, "start": self.watch.start}
        save_checkpoint(states | progress | {"best": self.best}, checkpoint)

    def resume(self, checkpoint: Path) -> None:
        """Go on from ``checkpoint``, if there is one."""
        if state := load_checkpoint(checkpoint):
            for name, part in self._parts().items():
                part.load_state_dict(state[name])
            torch.set_rng_state(state["random"])
            if self.device.type == "cuda" and "random_cuda" in state:
                torch.cuda.set_rng_state(state["random_cuda"], self.device)
            self.history, self.watch.start, self.best = state["history"], state["start"], state["best"]

    def end(self) -> None:
        """Leave the network with its best weights, on the CPU."""
        self.network.load_state_dict(self.best)
        self.network.to("cpu").eval()

    def _parts(self) -> dict[str, Any]:
        parts = {"learner": self.learner, "optimizer": self.optimizer, "schedule": self.schedule}
        return parts | ({"average": self.average} if self.average else {})


def _report(log: Log, watch: Watch, row: dict[str, float], epochs: int) -> None:
    epoch = int(row["epoch"])
    log.metrics({name: value for name, value in row.items() if name != "epoch"}, epoch)
    first, norms = watch.norms()
    log.series("step_grad_norm", norms, first)
    measured = "".join(f", {READABLE[name]} {row[name]:.4f}" for name in READABLE if name in row)
    logger.info("epoch %d of %d: loss %.4f%s", epoch, epochs, row["loss"], measured)


def _average(network: nn.Module, decay: float) -> AveragedModel | None:
    if not decay:
        return None
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(network, multi_avg_fn=average, use_buffers=True)


def _groups(learner: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Decay matrices and filters only, not norms and biases."""
    decay = [parameter for parameter in learner.parameters() if parameter.ndim > 1]
    plain = [parameter for parameter in learner.parameters() if parameter.ndim <= 1]
    return [{"params": decay, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
