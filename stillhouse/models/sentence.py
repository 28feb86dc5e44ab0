"""Reads the files of a sentence-transformers checkpoint: its modules, pooling, dense layers and prompts."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from stillhouse.errors import BadInput
from stillhouse.models.pooling import ACTIVATIONS, POOLINGS, Layer, PoolingConfig

logger = logging.getLogger(__name__)

Fetch = Callable[[str], Path | None]
# Before sentence-transformers 6 each pooling had its own switch.
SWITCHES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
# Modules that are left out: a linear layer learns the scale of its input, and the classifier has its own dropout.
LEFT_OUT = ("Normalize", "Dropout")
CLASSIFICATION = ("classification", "classify")  # names of prompts, in any case


@dataclass(frozen=True)
class SentenceEncoder:
    """What the files of the checkpoint describe.

    Attributes:
        encoder: the folder of the transformer.
        pooling: poolings, dense layers and prompt.
        weights: of the dense layers, by name in ``Pooling.dense``.
        includes_prompt: whether the tokens of the prompt are pooled.
    """

    encoder: str
    pooling: PoolingConfig
    weights: dict[str, Tensor]
    includes_prompt: bool


def read_sentence_encoder(fetch: Fetch, name: str) -> SentenceEncoder | None:
    """Read the files of the checkpoint; None if it is no sentence encoder.

    Args:
        fetch: returns the path of a file of the checkpoint, or None if it has no such file.
        name: of the checkpoint, for messages.

    Raises:
        BadInput: an unknown pooling, or a file that is not JSON.
    """
    modules = _json(fetch, "modules.json") or [{"type": "Pooling", "path": "1_Pooling"}]
    kinds = [(str(module["type"]).rpartition(".")[2], str(module["path"])) for module in modules]
    encoder = kinds.pop(0)[1] if kinds[0][0] != "Pooling" else ""
    if not kinds or kinds[0][0] != "Pooling":
        return None
    settings = _json(fetch, f"{kinds.pop(0)[1]}/config.json")
    if settings is None:
        return None
    layers, weights = list[Layer](), dict[str, Tensor]()
    for kind, path in kinds:
        if kind in LEFT_OUT:
            continue
        layer = _dense(fetch, path, f"{len(layers)}.0.", weights) if kind == "Dense" else None
        if layer is None:
            logger.warning(
                "teacher.model: %s: its module %s (%s) is left out; the vector before it is used", name, path, kind
            )
            break
        layers.append(layer)
    pooling = PoolingConfig(_poolings(settings, name), tuple(layers), _prompt(fetch, name))
    return SentenceEncoder(encoder, pooling, weights, bool(settings.get("include_prompt", True)))


def _poolings(settings: dict[str, Any], name: str) -> tuple[str, ...]:
    given = settings.get("pooling_mode")
    if given is None:
        given = [mode for key, mode in SWITCHES.items() if settings.get(key)] or ["mean"]
    modes = tuple(str(given).replace("+", ",").split(",")) if isinstance(given, str) else tuple(map(str, given))
    modes = tuple(SWITCHES.get(mode.strip(), mode.strip()) for mode in modes)
    if unknown := [mode for mode in modes if mode not in POOLINGS]:
        raise BadInput(
            f"teacher.model: {name} uses the pooling {unknown[0]!r}, which is not supported. Set "
            f"teacher.pooling to one of {', '.join(POOLINGS)}."
        )
    return modes


def _dense(fetch: Fetch, path: str, prefix: str, weights: dict[str, Tensor]) -> Layer | None:
    """Read a dense layer and add its weights to ``weights``; None if its kind is not supported."""
    settings, file = _json(fetch, f"{path}/config.json"), fetch(f"{path}/model.safetensors")
    if settings is None or file is None or settings.get("use_residual"):
        return None
    if settings.get("module_input_name", "sentence_embedding") != "sentence_embedding":
        return None
    package, _, activation = str(settings.get("activation_function", "torch.nn.Tanh")).rpartition(".")
    if not package.startswith("torch.nn") or activation not in ACTIVATIONS:
        return None
    found = load_file(str(file))
    weights |= {f"{prefix}{key.removeprefix('linear.')}": value.float() for key, value in found.items()}
    return Layer(
        int(settings["in_features"]), int(settings["out_features"]), bool(settings.get("bias", True)), activation
    )


def _prompt(fetch: Fetch, name: str) -> str:
    """Return the prompt for classification, or else the default prompt. If there is neither, log the other prompts."""
    settings = _json(fetch, "config_sentence_transformers.json") or {}
    prompts = {str(key): value for key, value in (settings.get("prompts") or {}).items() if value}
    for key, prompt in prompts.items():
        if key.lower() in CLASSIFICATION:
            return str(prompt)
    default = settings.get("default_prompt_name")
    if default in prompts:
        return str(prompts[default])
    if prompts:
        shown = ", ".join(f"{key}: {prompt!r}" for key, prompt in prompts.items())
        logger.info(
            "teacher.model: %s has prompts, none for classification, so none is used; teacher.prompt sets one (%s)",
            name,
            shown,
        )
    return ""


def _json(fetch: Fetch, file: str) -> Any:
    path = fetch(file)
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path else None
    except ValueError as error:
        raise BadInput(f"teacher.model: {path} is not JSON ({error}).") from None
