"""The layers of a teacher."""

from typing import Literal

from torch import nn
from transformers import PreTrainedModel

from stillhouse.errors import BadInput
from stillhouse.models.encoder import EncoderClassifier

AUTO_MOST = 4  # layers


def layer_stacks(model: PreTrainedModel | EncoderClassifier) -> list[nn.ModuleList]:
    """Return the lists of layers; an encoder-decoder has several. It is empty if they cannot be found."""
    count = getattr(getattr(model.config, "text_config", model.config), "num_hidden_layers", None)
    return [part for part in model.base_model.modules() if isinstance(part, nn.ModuleList) and len(part) == count]


def freeze(model: PreTrainedModel | EncoderClassifier, layers: int | Literal["auto"]) -> None:
    """Freeze the embeddings and the lowest ``layers`` layers; 0 trains everything.

    ``auto`` freezes two thirds of the layers, at most 4. It freezes nothing if the model has no separate layers, as
    ALBERT.

    Raises:
        BadInput: the model has fewer layers, or no separate ones.
    """
    stacks = layer_stacks(model)
    count = len(stacks[0]) if stacks else 0
    number = min(AUTO_MOST, count * 2 // 3) if layers == "auto" else layers
    if number > count:
        raise BadInput(
            f"teacher.freeze_layers is {number}, but the teacher has {count or 'no separate'} layers. Set it to auto "
            "or 0."
        )
    if not number:
        return
    frozen = [
        model.get_input_embeddings(),
        getattr(model.base_model, "embeddings", None),
        *stacks[0][:number],
    ]
    for module in frozen:
        if module is not None:
            module.requires_grad_(False)
            for part in module.modules():
                if isinstance(part, nn.Dropout):  # dropout in a frozen layer only costs time
                    part.p = 0.0
