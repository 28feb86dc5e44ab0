"""States of whole words, so that networks with different word pieces can be compared."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from stillhouse.errors import BadInput

# What the projections of an attention layer are called: BERT and kin, DistilBERT, most decoders.
QUERY_KEY_VALUE = (("query", "key", "value"), ("q_lin", "k_lin", "v_lin"), ("q_proj", "k_proj", "v_proj"))


def relation_heads(one: int, other: int) -> int:
    """The most relation heads, up to 12, that divide both widths."""
    both = math.gcd(one, other)
    return max(heads for heads in range(1, 13) if both % heads == 0)


def word_states(states: Tensor, words: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The mean state of each of the first ``count`` words.

    Args:
        states: of tokens, ``(batch, 3, length, width)``.
        words: each token's word, -1 for none, ``(batch, length)``.
        count: words that are kept.

    Returns:
        ``(batch, 3, count, width)``, and a mask ``(batch, count)`` of the words that have a token.
    """
    member = (words.unsqueeze(1) == torch.arange(count, device=words.device)[:, None]).to(states.dtype)
    sizes = member.sum(2)
    pooled = member.unsqueeze(1) @ states / sizes.clamp(min=1.0)[:, None, :, None]
    return pooled, (sizes > 0).to(states.dtype)


@contextmanager
def watch_last_attention(model: nn.Module) -> Iterator[list[Tensor]]:
    """Within the block, each forward pass of ``model`` leaves its last layer's queries, keys and values.

    Raises:
        BadInput: the model's attention has no separate projections of these names.
    """
    modules = list(model.named_modules())
    for names in QUERY_KEY_VALUE:
        found = [[module for path, module in modules if path.rpartition(".")[2] == name] for name in names]
        if all(found):
            break
    else:
        raise BadInput("student.losses.minilm: the teacher's attention has no separate queries, keys and values.")
    seen: list[Tensor] = []
    hooks = [layers[-1].register_forward_hook(lambda _m, _i, output: seen.append(output)) for layers in found]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
