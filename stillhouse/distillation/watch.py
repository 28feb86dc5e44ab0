"""Monitors the losses and gradients of a training, and ends a training that diverges."""

import torch
from torch import Tensor

from stillhouse.errors import TrainingDiverged

EVERY = 50  # steps between two checks; reading a value waits for the device
EXPLODED = 20.0  # factor of the initial loss above which a training diverged


class Watch:
    """Collects loss and gradient norm of each step, and raises on NaN, infinity or divergence."""

    def __init__(self, hint: str, every: int = 1) -> None:
        """``hint`` is advice for the user. :meth:`step` is called every ``every`` steps of the optimiser."""
        self.hint, self.every = hint, every
        self.steps = 0  # before the current epoch
        self.epoch = 0
        self.start: float | None = None
        self._losses: list[Tensor] = []
        self._norms: list[Tensor] = []

    def begin(self, epoch: int, steps: int) -> None:
        """Start ``epoch`` (from 0), after ``steps`` optimiser steps."""
        self.epoch, self.steps = epoch, steps
        self._losses, self._norms = [], []

    def step(self, loss: Tensor, norm: Tensor) -> None:
        """Add one step, after the backward pass and before the optimiser's update. Raises TrainingDiverged."""
        self._losses.append(loss.detach())
        self._norms.append(norm.detach())
        if len(self._losses) % EVERY == 0:
            self.check()

    def check(self) -> None:
        """Raise TrainingDiverged: a NaN, an infinity, or a mean loss of more than 20 times the initial loss."""
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
        stored = f"The checkpoint of epoch {self.epoch} is stored. " if self.epoch else ""
        step = self.steps + (at + 1) * self.every
        return TrainingDiverged(
            f"Training diverged {how} step {step}, in epoch {self.epoch + 1}: loss {self._losses[at].item():g}, "
            f"gradient norm {self._norms[at].item():g}. {stored}{self.hint}"
        )

    def summary(self) -> dict[str, float]:
        """Return mean ``loss`` and ``grad_norm`` of the epoch. Raises TrainingDiverged as :meth:`check` does."""
        self.check()
        return {"loss": torch.stack(self._losses).mean().item(), "grad_norm": torch.stack(self._norms).mean().item()}

    def norms(self) -> tuple[int, list[float]]:
        """Return the number of the first step of the epoch, and the gradient norms of its steps."""
        return self.steps, torch.stack(self._norms).tolist()
