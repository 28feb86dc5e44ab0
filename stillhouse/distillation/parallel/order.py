"""The order of the texts and the random numbers where several ranks fine-tune a teacher with transformers' Trainer."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import distributed
from torch.utils.data import Sampler
from transformers import TrainerCallback
from transformers.trainer_pt_utils import LengthGroupedSampler

from stillhouse.distillation.parallel.group import SEEDS, Group
from stillhouse.distillation.teacher_trainer import TeacherTrainer


class SharedTrainer(TeacherTrainer):
    """A Trainer whose global batches are those of one process: consecutive parts of a batch go to the ranks."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        args, lengths = self.args, list(self.train_dataset[self.args.length_column_name])
        batch = args.per_device_train_batch_size * args.world_size * args.gradient_accumulation_steps
        return _FirstOrder(batch, lengths=lengths, device=args.device)


class _FirstOrder(LengthGroupedSampler):
    """The order of the first rank, which draws it as a process alone would."""

    def __init__(self, batch_size: int, lengths: list[int], device: torch.device) -> None:
        super().__init__(batch_size, lengths=lengths)
        self._device = device

    def __iter__(self) -> Iterator[int]:
        order = torch.tensor(list(super().__iter__()), device=self._device)
        distributed.broadcast(order, 0)
        return iter(order.tolist())


class OwnSeed(TrainerCallback):
    """Gives each rank but the first its own random numbers for dropout."""

    def __init__(self, group: Group, seed: int) -> None:
        self._group, self._seed = group, seed

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Set the seed. The Trainer calls this after it has set the same seed on every rank."""
        if not self._group.first:
            torch.manual_seed(self._seed + self._group.rank * SEEDS)
