"""The ranks of a job, and the share that each has of a batch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, distributed

SEEDS = 1_000_003  # between the seeds of two ranks, so that no two are the same
T = TypeVar("T")


class _Total(torch.autograd.Function):
    """The sum over all ranks. Its gradient is the sum of the gradients over all ranks."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        result = tensor.clone()
        distributed.all_reduce(result)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        result = gradients[0].clone()
        distributed.all_reduce(result)
        return result


@dataclass
class Group:
    """The ranks of a job, seen from one of them.

    Rank ``r`` of ``n`` has every ``n``-th row of a batch, from row ``r`` on: rows are in order of length, so the shares
    take the same time. A batch that is too small is not divided: each rank computes all of it.

    Attributes:
        rank: the number of this rank, from 0.
        size: the number of ranks.
        rows: the number of rows of the whole batch.
        weight: factor of the loss of this rank. The mean over the ranks then is the loss of the whole batch.
    """

    rank: int
    size: int
    weight: float = field(default=1.0, init=False)
    rows: int = field(default=0, init=False)
    _divided: bool = field(default=False, init=False)

    @property
    def first(self) -> bool:
        """Whether this rank logs and writes files."""
        return self.rank == 0

    def divide(self, rows: np.ndarray, counted: np.ndarray) -> np.ndarray:
        """Return the rows of a batch that this rank computes.

        Args:
            rows: row numbers of the whole batch.
            counted: for each row whether the mean of the loss counts it.
        """
        counts = [int(counted[rank :: self.size].sum()) for rank in range(self.size)]
        self.rows, self._divided = len(rows), all(counts)
        if not self._divided:
            self.weight = 1.0
            return rows
        self.weight = self.size * counts[self.rank] / sum(counts)
        return rows[self.rank :: self.size]

    def total(self, tensor: Tensor) -> Tensor:
        """Return the sum of ``tensor`` over the ranks, with a gradient; of an undivided batch ``tensor`` itself."""
        if not self._divided:
            return tensor
        total: Tensor = _Total.apply(tensor)  # type: ignore[no-untyped-call]
        return total

    def mean(self, loss: Tensor) -> Tensor:
        """Return the mean over the ranks of a weighted loss, without a gradient."""
        return self.total(loss.detach()) / (self.size if self._divided else 1)

    def over_batch(self, loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Return ``loss`` (of logits, see :mod:`stillhouse.distillation.losses`) of the whole batch.

        The result takes and returns the rows of this rank.
        """

        def of_whole(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> Tensor:
            whole = loss(self._whole(student), self._whole(teacher), self._whole(labels), temperature)
            return whole[self.rank :: self.size] if self._divided else whole

        return of_whole

    def _whole(self, own: Tensor) -> Tensor:
        if not self._divided:
            return own
        whole = own.new_zeros((self.rows, *own.shape[1:]))
        whole[self.rank :: self.size] = own
        return self.total(whole)


def in_turn(group: Group | None, action: Callable[[], T]) -> T:
    """Return the result of ``action``, which the first rank finishes before the others start."""
    if group and not group.first:
        distributed.barrier()
    result = action()
    if group and group.first:
        distributed.barrier()
    return result
