"""States of whole words. They make networks with different word pieces comparable."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from stillhouse.errors import BadInput

# Names of the projections of an attention layer: BERT and related models, DistilBERT, most decoders.
QUERY_KEY_VALUE = (("query", "key", "value"), ("q_lin", "k_lin", "v_lin"), ("q_proj", "k_proj", "v_proj"))


def relation_heads(one: int, other: int) -> int:
    """Return the largest number of relation heads, up to 12, that divides both widths."""
    both = math.gcd(one, other)
    return max(heads for heads in range(1, 13) if both % heads == 0)


def word_states(states: Tensor, words: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the mean state of each of the first ``count`` words.

    Args:
        states: of tokens, ``(batch, 3, length, width)``.
        words: the word number of each token, -1 for none, ``(batch, length)``.
        count: number of words.

    Returns:
        ``(batch, 3, count, width)``, and a mask ``(batch, count)`` of the words that have a token.
    """
    member = (words.unsqueeze(1) == torch.arange(count, device=words.device)[:, None]).to(states.dtype)
    sizes = member.sum(2)
    pooled = member.unsqueeze(1) @ states / sizes.clamp(min=1.0)[:, None, :, None]
    return pooled, (sizes > 0).to(states.dtype)


@contextmanager
def record_last_attention(model: nn.Module) -> Iterator[list[Tensor]]:
    """Yield a list. Each forward pass of ``model`` appends the queries, keys and values of the last layer.

    Raises:
        BadInput: the attention of the model has no separate projections with these names.
    """
    modules = list(model.named_modules())
    for names in QUERY_KEY_VALUE:
        found = [[module for path, module in modules if path.rpartition(".")[2] == name] for name in names]
        if all(found):
            break
    else:
        raise BadInput("student.losses.minilm: the teacher's attention has no separate queries, keys and values.")
    recorded: list[Tensor] = []
    hooks = [layers[-1].register_forward_hook(lambda _m, _i, output: recorded.append(output)) for layers in found]
    try:
        yield recorded
    finally:
        for hook in hooks:
            hook.remove()
