"""One step of a student's training on several ranks, with the gradient of the whole batch."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from stillhouse.data.encoded import NO_WORD
from stillhouse.data.vocabulary import PAD_ID
from stillhouse.distillation.examples import Examples
from stillhouse.distillation.losses import reads_batch
from stillhouse.distillation.objective import Batch, Distillation, HardLabels
from stillhouse.distillation.parallel.group import Group
from stillhouse.models.students.network import TextNetwork


class SharedNorm(nn.BatchNorm1d):
    """Batch normalisation by the statistics of all ranks. ``torch.nn.SyncBatchNorm`` does the same, on GPUs only."""

    group: Group

    def forward(self, input: Tensor) -> Tensor:
        """Normalise ``input`` (batch, channels, length); all ranks have the same length."""
        if not self.training:
            return super().forward(input)
        assert self.momentum is not None and self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None
        count = self.group.rows * input.shape[2]
        mean = self.group.total(input.sum((0, 2))) / count
        centred = input - mean[:, None]
        variance = self.group.total(centred.square().sum((0, 2))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scaled: Tensor = centred * ((variance + self.eps).rsqrt() * self.weight)[:, None] + self.bias[:, None]
        return scaled


class SharedStep:
    """Computes the gradient of a batch that is divided between the ranks."""

    def __init__(self, group: Group, network: TextNetwork, objective: Distillation | HardLabels) -> None:
        """``network`` and ``objective`` are on the device of this rank. They are changed in place."""
        self.group, self.objective = group, objective
        for module in network.modules():
            if type(module) is nn.BatchNorm1d:
                module.__class__ = SharedNorm
                module.group = group  # type: ignore[assignment]
        if isinstance(objective, Distillation):
            for name, function in objective.functions.items():
                if reads_batch(function):
                    objective.functions[name] = group.over_batch(function)
        # Without the search for unused parameters PyTorch regroups the gradients after the first step. The order of
        # the sums, and so the last bits, would differ after a resumed training's first step.
        self.model = DistributedDataParallel(
            _Objective(network, objective), forward_sync_buffers=False, find_unused_parameters=True
        )

    def backward(self, train: Examples, rows: np.ndarray, device: torch.device, progress: float) -> Tensor:
        """Compute the gradients of the batch at ``rows``, and return its loss. Both are equal on all ranks."""
        own = self.group.divide(rows, self.objective.counted(train.labels[rows]))
        batch = train.batch(own, device, self.objective.needs)
        loss = self.model(_padded(batch, int(train.encoded.lengths[rows].max())), progress) * self.group.weight
        loss.backward()
        return self.group.mean(loss)


class _Objective(nn.Module):
    def __init__(self, network: TextNetwork, objective: Distillation | HardLabels) -> None:
        super().__init__()
        self.network, self.objective = network, objective

    def forward(self, batch: Batch, progress: float) -> Any:
        return self.objective(self.network, batch, progress)


def _padded(batch: Batch, length: int) -> Batch:
    """Pad to the longest text of the whole batch: batch normalisation counts padding, too."""
    missing = (0, max(0, length - batch.ids.shape[1]))
    words = None if batch.words is None else functional.pad(batch.words, missing, value=NO_WORD)
    return replace(batch, ids=functional.pad(batch.ids, missing, value=PAD_ID), words=words)
