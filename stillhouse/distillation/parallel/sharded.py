"""Fully sharded data parallelism: each rank holds a part of a teacher's weights, gradients and optimiser states.

A layer's weights are gathered from all ranks while it computes, and dropped afterwards (FSDP2 of PyTorch, through
accelerate). S. Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models", SC 2020,
arXiv:1910.02054, stage 3.
"""

import logging
from collections import Counter
from typing import Any

import torch
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

    With bf16 the layers compute in bfloat16, and gradients are summed in float32; autocast would preserve a copy of
    each weight until the backward pass. The gradients of each batch are divided at once, also if an update has several
    batches. On CPUs accelerate does not shard unless it takes them for accelerators; PyTorch needs none for it.
    """
    arguments.accelerator_config.gradient_accumulation_kwargs = {"sync_each_batch": True}
    policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32) if arguments.bf16 else MixedPrecisionPolicy()
    arguments.fsdp_plugin_args["mixed_precision_policy"] = policy
    if arguments.use_cpu:
        arguments.distributed_state._shared_state["distributed_type"] = DistributedType.MULTI_GPU


def join_shared_embeddings(model: nn.Module) -> None:
    """Shard token vectors that several modules share, as those of T5, with the rest of ``model`` outside its layers.

    accelerate shards the vectors that ``get_input_embeddings`` returns by themselves, and PyTorch refuses to shard a
    weight twice.
    """
    owners = Counter(id(weight) for module in model.modules() for weight in module.parameters(recurse=False))
    if max(owners.values()) > 1:
        model.get_input_embeddings = lambda: None  # type: ignore[assignment]


class Sharded(TrainerCallback):
    """Logs how many weights this rank holds, and gives every weight an optimiser state.

    A checkpoint without the state of a weight cannot be loaded. A weight that the model does not use, as the pooler of
    a sentence encoder, has no gradient and so no state.
    """

    def on_train_begin(self, args: Any, state: Any, control: Any, *, model: nn.Module, **_: Any) -> None:
        """Log the numbers. The Trainer calls this after it has sharded the model."""
        weights = list(model.parameters())
        own = sum(one.to_local().numel() if isinstance(one, DTensor) else one.numel() for one in weights)
        whole = sum(one.numel() for one in weights)
        logger.info("teacher.fsdp: each of %d processes holds about %d of %d weights", args.world_size, own, whole)

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, *, model: nn.Module, **_: Any) -> None:
        """Set the missing gradients to 0. The Trainer calls this before each update."""
        for weight in model.parameters():
            if weight.requires_grad and weight.grad is None:
                weight.grad = torch.zeros_like(weight)


def whole_weights(model: nn.Module) -> dict[str, Any]:
    """Return the weights of ``model`` on the CPU. Every rank must call this; all but the first get an empty dict."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    weights: dict[str, Any] = get_model_state_dict(model, options=options)
    return weights
