"""Whether what was loaded is what the checkpoint should hold: its weights, its head, the positions it has."""

import logging
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from stillhouse.errors import BadInput, listed
from stillhouse.models.encoder import EncoderClassifier

logger = logging.getLogger(__name__)

POSITIONS = ("position_embeddings", "embed_positions", "wpe")  # what tables of learnt positions are called
UNUSED = ("pooler",)  # parts that a checkpoint without them is no worse for


def longest(model: PreTrainedModel | EncoderClassifier) -> int | None:
    """The most tokens that ``model`` reads: rows of its table of positions, or what its config says; None: any number.

    RoBERTa and its kin count positions from their padding id + 1, BART and OPT from an offset, so that they read
    fewer tokens than the table has rows.
    """
    for name, part in model.named_modules():
        if isinstance(part, nn.Embedding) and name.rpartition(".")[2] in POSITIONS:
            after_padding = 0 if part.padding_idx is None else part.padding_idx + 1
            return part.num_embeddings - int(getattr(part, "offset", after_padding))
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return int(limit) if limit and limit > 0 else None


def check_weights(model: PreTrainedModel | EncoderClassifier, info: dict[str, Any], name: str) -> None:
    """Refuse an encoder whose weights are not in the checkpoint: transformers would start it at random.

    Args:
        model: as loaded.
        info: transformers' ``output_loading_info``.
        name: of the checkpoint.

    Raises:
        BadInput: half of the encoder's weights are missing, or one has another size than the config says.
    """
    network = model.encoder if isinstance(model, EncoderClassifier) else model
    prefix = "" if isinstance(model, EncoderClassifier) else f"{network.base_model_prefix}."
    own = [key for key in network.state_dict() if key.startswith(prefix)]
    missing, other = (
        [key for key in sorted(_keys(info, kind)) if key.startswith(prefix) and not any(part in key for part in UNUSED)]
        for kind in ("missing_keys", "mismatched_keys")
    )
    if other:
        raise BadInput(
            f"teacher.model: weights of {name} have other sizes than its config.json says: {listed(other, 3)}. The two "
            "files are not of the same checkpoint."
        )
    if 2 * len(missing) > len(own):
        raise BadInput(
            f"teacher.model: {name} lacks {len(missing)} of the {len(own)} weights of a {network.config.model_type}: "
            f"{listed(missing, 3)}. Its model.safetensors is not that of the model in its config.json."
        )
    if missing:
        logger.warning("teacher.model: %s lacks weights, which start at random: %s", name, listed(missing, 3))


def fit_head(model: PreTrainedModel, theirs: list[str], ours: list[str], info: dict[str, Any]) -> None:
    """Keep the checkpoint's head for the same class names, in our order; make it anew for other classes.

    transformers keeps any head with the same number of classes, whatever these are.

    Args:
        model: a sequence classifier with as many outputs as there are classes.
        theirs: the checkpoint's class names, by number.
        ours: this project's.
        info: transformers' ``output_loading_info``.
    """
    found = [(name, part) for name, part in model.named_modules() if isinstance(part, nn.Linear)]
    found = [(name, part) for name, part in found if part.out_features == len(ours)]
    if not found:
        return
    name, head = found[-1]
    if f"{name}.weight" in _keys(info, "missing_keys") | _keys(info, "mismatched_keys"):
        return  # it is new
    known = {str(label).strip().casefold(): row for row, label in enumerate(theirs)}
    rows = [known.get(label.strip().casefold(), -1) for label in ours]
    with torch.no_grad():
        if sorted(rows) == list(range(len(ours))):
            head.weight.copy_(head.weight[rows].clone())
            if head.bias is not None:
                head.bias.copy_(head.bias[rows].clone())
            return
        logger.info("teacher.model: its head is for other classes (%s); it gets a new one", listed(theirs, 5))
        nn.init.normal_(head.weight, std=getattr(model.config, "initializer_range", 0.02))
        if head.bias is not None:
            nn.init.zeros_(head.bias)


def _keys(info: dict[str, Any], kind: str) -> set[str]:
    """Names of weights; transformers gives those of another size together with the sizes."""
    return {key if isinstance(key, str) else key[0] for key in info[kind]}
