"""The student's training loop, for distillation and for the control alike."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from stillhouse.data.encoded import Encoded, batches
from stillhouse.distillation.checkpoints import load_checkpoint, save_checkpoint
from stillhouse.distillation.objective import Objective
from stillhouse.errors import TrainingDiverged
from stillhouse.models.student import predict_logits
from stillhouse.params import Training

Log = Callable[[dict[str, float], int], None]


@dataclass(frozen=True)
class Examples:
    """Token ids, class numbers (texts,), and where there is a teacher its logits (texts, classes)."""

    encoded: Encoded
    labels: np.ndarray
    logits: np.ndarray | None = None


def train_student(
    network: nn.Module,
    train: Examples,
    validation: Examples,
    objective: Objective,
    settings: Training,
    *,
    device: torch.device,
    seed: int,
    scratch: Path,
    log: Log,
) -> list[dict[str, float]]:
    """Train ``network`` in place and leave it with the weights of its best epoch on validation.

    AdamW, linear warm-up then cosine decay, clipped gradients. A checkpoint is written after every epoch;
    where ``scratch`` holds one, training goes on from it.

    Returns:
        One row an epoch: ``epoch``, ``loss``, ``grad_norm``, ``validation_loss``, ``validation_accuracy``.

    Raises:
        TrainingDiverged: the loss or a gradient became NaN or infinite.
    """
    torch.manual_seed(seed)
    network.to(device)
    steps = settings.epochs * math.ceil(len(train.labels) / settings.batch_size)
    optimizer = torch.optim.AdamW(_groups(network, settings.weight_decay), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _warmup_cosine(steps, settings.warmup))
    checkpoint = scratch / "last.pt"
    state = load_checkpoint(checkpoint)
    history: list[dict[str, float]] = []
    best: tuple[tuple[float, float], dict[str, torch.Tensor]] | None = None
    if state:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["random"])
        history, best = state["history"], (tuple(state["best_score"]), state["best"])
        print(f"going on after epoch {len(history)} of {settings.epochs}", flush=True)
    first = len(history)
    # Shown on a terminal only: in a log each refresh would be a line.
    for epoch in tqdm(range(first, settings.epochs), initial=first, total=settings.epochs, unit="epoch", disable=None):
        losses = _epoch(network, train, objective, optimizer, schedule, settings, device, seed + epoch, epoch)
        row = {"epoch": epoch + 1.0, **losses, **_validate(network, validation, device)}
        history.append(row)
        log({name: value for name, value in row.items() if name != "epoch"}, epoch + 1)
        tqdm.write(
            f"epoch {epoch + 1} of {settings.epochs}: loss {row['loss']:.4f}, accuracy on validation "
            f"{row['validation_accuracy']:.4f}"
        )
        score = (row["validation_accuracy"], -row["validation_loss"])
        if best is None or score > best[0]:
            best = (score, {name: value.cpu().clone() for name, value in network.state_dict().items()})
        save_checkpoint(
            {
                "network": network.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "random": torch.get_rng_state(),
                "history": history,
                "best_score": list(best[0]),
                "best": best[1],
            },
            checkpoint,
        )
    assert best is not None
    network.load_state_dict(best[1])
    network.to("cpu").eval()
    return history


def _epoch(
    network: nn.Module,
    train: Examples,
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    settings: Training,
    device: torch.device,
    seed: int,
    epoch: int,
) -> dict[str, float]:
    network.train()
    losses, norms = [], []
    for rows in batches(train.encoded.lengths, settings.batch_size, seed):
        ids = torch.from_numpy(train.encoded.padded(rows)).to(device)
        labels = torch.from_numpy(train.labels[rows]).to(device)
        teacher = None if train.logits is None else torch.from_numpy(train.logits[rows]).to(device)
        optimizer.zero_grad(set_to_none=True)
        loss = objective(network(ids), labels, teacher)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
        losses.append(loss.detach())
        norms.append(norm.detach())
        if len(losses) % 50 == 0:  # reading a number waits for the device, so not at every step
            _check_finite(losses, norms, epoch)
        optimizer.step()
        schedule.step()
    _check_finite(losses, norms, epoch)
    return {"loss": torch.stack(losses).mean().item(), "grad_norm": torch.stack(norms).mean().item()}


def _check_finite(losses: list[torch.Tensor], norms: list[torch.Tensor], epoch: int) -> None:
    good = torch.isfinite(torch.stack(losses)) & torch.isfinite(torch.stack(norms))
    if not bool(good.all()):
        step = int((~good).nonzero()[0]) + 1
        raise TrainingDiverged(
            f"Training diverged at step {step} of epoch {epoch + 1}: loss {losses[step - 1].item():g}, gradient norm "
            f"{norms[step - 1].item():g}. The checkpoint of epoch {epoch} is kept. Lower "
            "student.training.learning_rate or student.training.clip_norm."
        )


def _validate(network: nn.Module, validation: Examples, device: torch.device) -> dict[str, float]:
    logits = torch.from_numpy(predict_logits(network, validation.encoded, device))
    labels = torch.from_numpy(validation.labels)
    return {
        "validation_loss": functional.cross_entropy(logits, labels).item(),
        "validation_accuracy": (logits.argmax(1) == labels).float().mean().item(),
    }


def _groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Decay matrices and filters only, not norms and biases."""
    decay = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    plain = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    return [{"params": decay, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]


def _warmup_cosine(steps: int, warmup: float) -> Callable[[int], float]:
    rise = max(1, round(warmup * steps))

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))

    return factor
