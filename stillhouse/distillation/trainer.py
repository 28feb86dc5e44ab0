"""The student's training loop, for distillation and for the control alike."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from stillhouse.data.encoded import Encoded, batches
from stillhouse.distillation.checkpoints import load_checkpoint, save_checkpoint
from stillhouse.distillation.log import Log
from stillhouse.distillation.objective import Batch, Distillation, HardLabels
from stillhouse.distillation.schedules import warmup_cosine
from stillhouse.distillation.watch import Watch
from stillhouse.models.students.network import TextNetwork
from stillhouse.models.students.student import predict_logits
from stillhouse.params import Training

logger = logging.getLogger(__name__)

CHECKPOINTS = 50  # of a training at most: where epochs are short, writing one would take longer than the epoch
TELLING = 100  # validation texts below which they do not tell a good epoch from a lucky one
HINT = "Lower student.training.learning_rate or student.training.clip_norm."


@dataclass(frozen=True)
class Examples:
    """Texts as token ids with their labels (-1 for none), and the teacher's answers (see :class:`Batch`).

    ``stored`` (texts,) says in which row of the answers those to a text are.
    """

    encoded: Encoded
    labels: np.ndarray
    logits: np.ndarray | None = None
    features: np.ndarray | None = None
    relations: np.ndarray | None = None
    stored: np.ndarray | None = None

    def batch(self, rows: np.ndarray, device: torch.device, needs: frozenset[str] = frozenset()) -> Batch:
        """The texts at ``rows``, with the signals that are needed."""
        signals: dict[str, Tensor] = {}
        for name in needs:
            answers = getattr(self, name)
            assert answers is not None and self.stored is not None, f"the objective needs {name}"
            signals[name] = torch.from_numpy(answers[self.stored[rows]].astype(np.float32)).to(device)
        if "relations" in needs:
            signals["words"] = torch.from_numpy(self.encoded.padded_words(rows)).to(device)
        ids = torch.from_numpy(self.encoded.padded(rows)).to(device)
        return Batch(ids, torch.from_numpy(self.labels[rows]).to(device), **signals)


def train_student(
    network: TextNetwork,
    train: Examples,
    validation: Examples,
    objective: Distillation | HardLabels,
    settings: Training,
    *,
    device: torch.device,
    seed: int,
    scratch: Path,
    log: Log,
) -> list[dict[str, float]]:
    """Train ``network`` in place and leave it with the weights of the epoch that :func:`kept_epoch` chooses.

    AdamW, linear warm-up then cosine decay, clipped gradients, and where ``settings.average`` asks for it a
    moving average of the weights, which then is what is validated and kept (Polyak and Juditsky 1992). A
    checkpoint is written after every epoch (or every few, where there are very many); where ``scratch`` holds one,
    training goes on from it.

    Returns:
        One row an epoch: ``epoch``, ``loss``, ``grad_norm``, ``validation_loss``, ``validation_accuracy``.

    Raises:
        TrainingDiverged: the loss or a gradient became NaN or infinite, or the loss exploded.
    """
    torch.manual_seed(seed)
    learner = nn.ModuleDict({"network": network, "objective": objective}).to(device)
    steps = math.ceil(len(train.labels) / settings.batch_size)
    epochs = max(settings.epochs, math.ceil(settings.min_updates / steps))
    # The fused form saves a fifth of a step on a CPU.
    optimizer = torch.optim.AdamW(_groups(learner, settings.weight_decay), lr=settings.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, warmup_cosine(epochs * steps, settings.warmup))
    average = _average(network, settings.average)
    kept: nn.Module = average.module if average else network
    parts: dict[str, Any] = {"learner": learner, "optimizer": optimizer, "schedule": schedule}
    parts |= {"average": average} if average else {}
    checkpoint, watch = scratch / "last.pt", Watch(HINT)
    history: list[dict[str, float]] = []
    best: dict[str, Tensor] | None = None
    if state := load_checkpoint(checkpoint):
        for name, part in parts.items():
            part.load_state_dict(state[name])
        torch.set_rng_state(state["random"])
        history, watch.start, best = state["history"], state["start"], state["best"]
        logger.info("going on after epoch %d of %d", len(history), epochs)
    first = len(history)
    # Shown on a terminal only: in a log each refresh would be a line.
    for epoch in tqdm(range(first, epochs), initial=first, total=epochs, unit="epoch", disable=None):
        learner.train()
        watch.begin(epoch, epoch * steps)
        for index, rows in enumerate(batches(train.encoded.lengths, settings.batch_size, seed + epoch)):
            progress = (epoch * steps + index) / max(1, epochs * steps - 1)
            optimizer.zero_grad(set_to_none=True)
            loss = objective(network, train.batch(rows, device, objective.needs), progress)
            loss.backward()
            watch.step(loss, nn.utils.clip_grad_norm_(learner.parameters(), settings.clip_norm))
            optimizer.step()
            schedule.step()
            if average:
                average.update_parameters(network)
        row = {"epoch": epoch + 1.0, **watch.summary(), **_validate(kept, validation, device)}
        history.append(row)
        _report(log, watch, row, epochs)
        if kept_epoch(history, len(validation.labels)) is row:
            best = {name: value.cpu().clone() for name, value in kept.state_dict().items()}
        if (epoch + 1) % math.ceil(epochs / CHECKPOINTS) and epoch + 1 < epochs:
            continue
        states = {name: part.state_dict() for name, part in parts.items()}
        progress_so_far = {"random": torch.get_rng_state(), "history": history, "start": watch.start}
        save_checkpoint(states | progress_so_far | {"best": best}, checkpoint)
    assert best is not None
    network.load_state_dict(best)
    network.to("cpu").eval()
    return history


def kept_epoch(history: list[dict[str, float]], texts: int) -> dict[str, float]:
    """The last epoch that is within one standard error of the best so far, in accuracy on ``texts`` texts.

    On a few hundred texts the best epoch is the luckiest one, while the learning rate and the average settle to the
    end: so the rule of Breiman et al. 1984 (Classification and Regression Trees), with the later for the simpler.
    Fewer texts tell nothing: then it is the last epoch.
    """
    if texts < TELLING:
        return history[-1]
    best = max(row["validation_accuracy"] for row in history)
    error = math.sqrt(best * (1 - best) / texts)
    return next(row for row in reversed(history) if row["validation_accuracy"] >= best - error)


def _report(log: Log, watch: Watch, row: dict[str, float], epochs: int) -> None:
    epoch = int(row["epoch"])
    log.metrics({name: value for name, value in row.items() if name != "epoch"}, epoch)
    first, norms = watch.norms()
    log.series("step_grad_norm", norms, first)
    told = "epoch %d of %d: loss %.4f, accuracy on validation %.4f"
    logger.info(told, epoch, epochs, row["loss"], row["validation_accuracy"])


def _average(network: nn.Module, decay: float) -> AveragedModel | None:
    if not decay:
        return None
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


def _validate(network: nn.Module, validation: Examples, device: torch.device) -> dict[str, float]:
    logits = torch.from_numpy(predict_logits(network, validation.encoded, device))
    labels = torch.from_numpy(validation.labels)
    return {
        "validation_loss": functional.cross_entropy(logits, labels).item(),
        "validation_accuracy": (logits.argmax(1) == labels).float().mean().item(),
    }


def _groups(learner: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Decay matrices and filters only, not norms and biases."""
    decay = [parameter for parameter in learner.parameters() if parameter.ndim > 1]
    plain = [parameter for parameter in learner.parameters() if parameter.ndim <= 1]
    return [{"params": decay, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
