"""Watching a training's losses and gradients: they are recorded step by step, and trouble ends it early."""

import torch
from torch import Tensor

from stillhouse.errors import TrainingDiverged

EVERY = 50  # steps; reading a number waits for the device
EXPLODED = 20.0  # times the loss at the start


class Watch:
    """Collects each step's loss and gradient norm, and raises when they leave the realm of learning."""

    def __init__(self, hint: str, every: int = 1) -> None:
        """``hint`` tells the user what to change; each number that is shown stands for ``every`` steps."""
        self.hint, self.every = hint, every
        self.steps = 0  # before the present epoch
        self.epoch = 0
        self.start: float | None = None
        self._losses: list[Tensor] = []
        self._norms: list[Tensor] = []

    def begin(self, epoch: int, steps: int) -> None:
        """A new epoch (from 0), ``steps`` optimiser steps after the start of training."""
        self.epoch, self.steps = epoch, steps
        self._losses, self._norms = [], []

    def step(self, loss: Tensor, norm: Tensor) -> None:
        """Called after each backward pass, before the optimiser moves. Raises TrainingDiverged."""
        self._losses.append(loss.detach())
        self._norms.append(norm.detach())
        if len(self._losses) % EVERY == 0:
            self.check()

    def check(self) -> None:
        """Raises TrainingDiverged: a NaN, an infinity, or a loss far above that of the start."""
        losses, norms = torch.stack(self._losses[-EVERY:]), torch.stack(self._norms[-EVERY:])
        bad = ~(torch.isfinite(losses) & torch.isfinite(norms))
        first = len(self._losses) - len(losses)
        if bool(bad.any()):
            at = first + int(bad.nonzero()[0])
            raise self._diverged("at", at)
        if self.start is None:
            self.start = max(float(losses[:10].mean()), 0.1)
        if float(losses.mean()) > EXPLODED * self.start:
            at = first + int(losses.argmax())
            raise self._diverged(f"from a loss of {self.start:.3g} at the start, around", at)

    def _diverged(self, how: str, at: int) -> TrainingDiverged:
        kept = f"The checkpoint of epoch {self.epoch} is kept. " if self.epoch else ""
        step = self.steps + (at + 1) * self.every
        return TrainingDiverged(
            f"Training diverged {how} step {step}, in epoch {self.epoch + 1}: loss {self._losses[at].item():g}, "
            f"gradient norm {self._norms[at].item():g}. {kept}{self.hint}"
        )

    def summary(self) -> dict[str, float]:
        """The epoch's mean ``loss`` and ``grad_norm``. Raises TrainingDiverged as :meth:`check`."""
        self.check()
        return {"loss": torch.stack(self._losses).mean().item(), "grad_norm": torch.stack(self._norms).mean().item()}

    def norms(self) -> tuple[int, list[float]]:
        """The epoch's gradient norms, one a step, and the number of the first of these steps."""
        return self.steps, torch.stack(self._norms).tolist()
