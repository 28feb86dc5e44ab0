"""Fully sharded data parallelism: each rank holds a part of a teacher's weights, gradients and optimiser states.

A layer's weights are gathered from all ranks while it computes, and dropped afterwards (FSDP2 of PyTorch, through
accelerate). S. Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models", SC 2020,
arXiv:1910.02054, stage 3.
"""

import logging
from typing import Any

from accelerate.utils import DistributedType
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import MixedPrecisionPolicy
from torch.distributed.tensor import DTensor
from transformers import TrainerCallback, TrainingArguments

from stillhouse.models.layers import layer_stacks
from stillhouse.models.teacher import Teacher

logger = logging.getLogger(__name__)


def sharding(teacher: Teacher) -> dict[str, Any]:
    """Return the arguments that let transformers' Trainer shard ``teacher``, each of its layers by itself.

    A checkpoint has whole tensors, so that another number of ranks can resume from it.
    """
    layers = {type(layer).__name__ for stack in layer_stacks(teacher.model) for layer in stack}
    wrapped = {"transformer_layer_cls_to_wrap": sorted(layers)} if layers else {}
    return {"fsdp": True, "fsdp_config": {**wrapped, "state_dict_type": "FULL_STATE_DICT"}}


def complete_sharding(arguments: TrainingArguments) -> None:
    """Set what the arguments of :func:`sharding` cannot express.

    The weights are gathered in float32, and with bf16 :class:`~stillhouse.distillation.parallel.order.SharedTrainer`
    computes as without sharding. On CPUs accelerate does not shard unless it takes them for accelerators; PyTorch needs
    none for it.
    """
    arguments.fsdp_plugin_args["mixed_precision_policy"] = MixedPrecisionPolicy()
    if arguments.use_cpu:
        arguments.distributed_state._shared_state["distributed_type"] = DistributedType.MULTI_GPU


class ReportShare(TrainerCallback):
    """Logs how many weights this rank holds."""

    def on_train_begin(self, args: Any, state: Any, control: Any, *, model: nn.Module, **_: Any) -> None:
        """Log the numbers. The Trainer calls this after it has sharded the model."""
        weights = list(model.parameters())
        own = sum(one.to_local().numel() if isinstance(one, DTensor) else one.numel() for one in weights)
        whole = sum(one.numel() for one in weights)
        logger.info("teacher.fsdp: each of %d processes holds about %d of %d weights", args.world_size, own, whole)


def whole_weights(model: nn.Module) -> dict[str, Any]:
    """Return the weights of ``model`` on the CPU. Every rank must call this; all but the first get an empty dict."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    weights: dict[str, Any] = get_model_state_dict(model, options=options)
    return weights
