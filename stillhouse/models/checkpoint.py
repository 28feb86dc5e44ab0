"""Checks a loaded checkpoint: missing weights, the head, the largest number of tokens."""

import logging
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from stillhouse.errors import BadInput, listed
from stillhouse.models.encoder import EncoderClassifier

logger = logging.getLogger(__name__)

POSITIONS = ("position_embeddings", "embed_positions", "wpe")  # names of tables of learnt positions
UNUSED = ("pooler",)  # parts that this project does not use


def max_tokens(model: PreTrainedModel | EncoderClassifier) -> int | None:
    """Return the most tokens that ``model`` reads, from its table of positions or its config; None for any number.

    RoBERTa and related models count positions from their padding id + 1, BART and OPT from an offset. So they read
    fewer tokens than the table has rows.
    """
    for name, part in model.named_modules():
        if isinstance(part, nn.Embedding) and name.rpartition(".")[2] in POSITIONS:
            after_padding = 0 if part.padding_idx is None else part.padding_idx + 1
            return part.num_embeddings - int(getattr(part, "offset", after_padding))
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return int(limit) if limit and limit > 0 else None


def check_weights(model: PreTrainedModel | EncoderClassifier, info: dict[str, Any], name: str) -> None:
    """Refuse an encoder if the checkpoint lacks its weights: transformers would initialise them at random.

    Args:
        model: the loaded model.
        info: ``output_loading_info`` of transformers.
        name: the name of the checkpoint.

    Raises:
        BadInput: more than half of the encoder's weights are missing, or the size of one differs from the config.
    """
    network = model.encoder if isinstance(model, EncoderClassifier) else model
    prefix = "" if isinstance(model, EncoderClassifier) else f"{network.base_model_prefix}."
    own = [key for key in network.state_dict() if key.startswith(prefix)]
    missing, mismatched = (
        [key for key in sorted(_keys(info, kind)) if key.startswith(prefix) and not any(part in key for part in UNUSED)]
        for kind in ("missing_keys", "mismatched_keys")
    )
    if mismatched:
        raise BadInput(
            f"teacher.model: weights of {name} have other sizes than its config.json says: {listed(mismatched, 3)}. "
            "The two files are not of the same checkpoint."
        )
    if 2 * len(missing) > len(own):
        raise BadInput(
            f"teacher.model: {name} lacks {len(missing)} of the {len(own)} weights of a {network.config.model_type}: "
            f"{listed(missing, 3)}. Its model.safetensors is not that of the model in its config.json."
        )
    if missing:
        logger.warning("teacher.model: %s lacks weights; they start at random: %s", name, listed(missing, 3))


def match_head(
    model: PreTrainedModel, checkpoint_labels: list[str], label_names: list[str], info: dict[str, Any]
) -> None:
    """Reorder the checkpoint's head if its class names are those of this project; otherwise initialise it again.

    transformers loads any head with the same number of classes and does not compare the class names.

    Args:
        model: a sequence classifier with one output for each class.
        checkpoint_labels: the class names of the checkpoint, by number.
        label_names: the class names of this project, by number.
        info: ``output_loading_info`` of transformers.
    """
    found = [(name, part) for name, part in model.named_modules() if isinstance(part, nn.Linear)]
    found = [(name, part) for name, part in found if part.out_features == len(label_names)]
    if not found:
        return
    name, head = found[-1]
    if f"{name}.weight" in _keys(info, "missing_keys") | _keys(info, "mismatched_keys"):
        return  # transformers initialised it
    known = {str(label).strip().casefold(): row for row, label in enumerate(checkpoint_labels)}
    rows = [known.get(label.strip().casefold(), -1) for label in label_names]
    with torch.no_grad():
        if sorted(rows) == list(range(len(label_names))):
            head.weight.copy_(head.weight[rows].clone())
            if head.bias is not None:
                head.bias.copy_(head.bias[rows].clone())
            return
        logger.info(
            "teacher.model: its head is for other classes (%s); it gets a new one", listed(checkpoint_labels, 5)
        )
        nn.init.normal_(head.weight, std=getattr(model.config, "initializer_range", 0.02))
        if head.bias is not None:
            nn.init.zeros_(head.bias)


def _keys(info: dict[str, Any], kind: str) -> set[str]:
    """Return names of weights. transformers lists those of another size with the two sizes."""
    return {key if isinstance(key, str) else key[0] for key in info[kind]}
