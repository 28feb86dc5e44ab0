"""The layers of a teacher."""

from torch import nn
from transformers import PreTrainedModel

from stillhouse.errors import BadInput
from stillhouse.models.encoder import EncoderClassifier


def layer_stacks(model: PreTrainedModel | EncoderClassifier) -> list[nn.ModuleList]:
    """Return the lists of layers; an encoder-decoder has several. It is empty if they cannot be found."""
    count = getattr(getattr(model.config, "text_config", model.config), "num_hidden_layers", None)
    return [part for part in model.base_model.modules() if isinstance(part, nn.ModuleList) and len(part) == count]


def freeze(model: PreTrainedModel | EncoderClassifier, layers: int) -> None:
    """Freeze the embeddings and the lowest ``layers`` layers; 0 trains everything.

    Raises:
        BadInput: the model has fewer layers, or its layers cannot be found.
    """
    if not layers:
        return
    stacks = layer_stacks(model)
    if not stacks:
        raise BadInput(f"teacher.freeze_layers is {layers}, but this teacher has no separate layers. Set it to 0.")
    if layers > (count := len(stacks[0])):
        raise BadInput(
            f"teacher.freeze_layers is {layers}, but the teacher has {count} layers. Set it to {count} or less; 0 "
            "trains all."
        )
    frozen = [
        model.get_input_embeddings(),
        getattr(model.base_model, "embeddings", None),
        *stacks[0][:layers],
    ]
    for module in frozen:
        if module is not None:
            module.requires_grad_(False)
            for part in module.modules():
                if isinstance(part, nn.Dropout):  # dropout in a frozen layer only costs time
                    part.p = 0.0
