"""The teacher: any sequence-classification checkpoint, from the sample, a hub or a local directory."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from stillhouse.data.sample import sample_teacher
from stillhouse.errors import BadInput, Unavailable
from stillhouse.params import Teacher as Settings

OFFLINE = (
    "Without the hub: set teacher.model to a local directory (config.json, model.safetensors, tokenizer.json), or "
    "fill a cache on a connected machine and set HF_HOME to it with HF_HUB_OFFLINE=1, or set HF_ENDPOINT to a mirror."
)


@dataclass
class Teacher:
    """A sequence classifier with its tokenizer and the number of tokens it reads of each text."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    max_length: int

    def logits(self, texts: Sequence[str], batch_size: int, bf16: bool = False) -> np.ndarray:
        """Logits, float32 of shape ``(len(texts), classes)``, computed in length-sorted batches."""
        self.model.eval()
        device = self.model.device
        tokens = self.tokenizer(list(texts), truncation=True, max_length=self.max_length)
        order = np.argsort([-len(ids) for ids in tokens["input_ids"]], kind="stable")
        result = np.empty((len(texts), self.model.config.num_labels), dtype=np.float32)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                batch = self.tokenizer.pad(
                    {key: [values[row] for row in rows] for key, values in tokens.items()},
                    return_tensors="pt",
                ).to(device)
                result[rows] = self.model(**batch).logits.float().cpu().numpy()
        return result


def load_pretrained(settings: Settings, label_names: list[str]) -> Teacher:
    """The checkpoint to fine-tune, with a new head where its own has other classes.

    Only safetensors are read and no code of the checkpoint's is run.

    Raises:
        BadInput: no such checkpoint, not a sequence classifier, no safetensors, or ``max_length`` beyond
            what it can read.
        Unavailable: the hub does not answer.
    """
    source, options = _locate(settings)
    try:
        config = AutoConfig.from_pretrained(source, **options)
        _check_length(config, settings)
        config.num_labels = len(label_names)
        config.id2label = dict(enumerate(label_names))
        config.label2id = {name: index for index, name in enumerate(label_names)}
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        model = AutoModelForSequenceClassification.from_pretrained(
            source,
            config=config,
            use_safetensors=True,
            ignore_mismatched_sizes=True,
            dtype=torch.float32,
            **options,
        )
    except (OSError, ValueError, KeyError) as error:
        raise _explain(settings, error) from None
    if tokenizer.pad_token is None:  # decoders such as GPT-2 have none
        tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = tokenizer.pad_token_id
    freeze(model, settings.freeze_layers)
    return Teacher(model, tokenizer, settings.max_length)


def freeze(model: PreTrainedModel, layers: int) -> None:
    """Leave the embeddings and the lowest ``layers`` layers untrained; 0 trains everything.

    Raises:
        BadInput: the model has fewer layers, or none that can be found.
    """
    if not layers:
        return
    count = getattr(model.config, "num_hidden_layers", None)
    stacks = [m for m in model.base_model.modules() if isinstance(m, nn.ModuleList) and len(m) == count]
    if not stacks or layers > len(stacks[0]):
        raise BadInput(
            f"teacher.freeze_layers is {layers}, but the teacher has {count if stacks else 'no such'} layers."
        )
    frozen = [
        model.get_input_embeddings(),
        getattr(model.base_model, "embeddings", None),
        *stacks[0][:layers],
    ]
    for module in frozen:
        if module is not None:
            module.requires_grad_(False)


def load_teacher(folder: Path, max_length: int, device: torch.device) -> Teacher:
    """A fine-tuned teacher saved by the teacher stage, in evaluation mode."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    model = AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True)
    return Teacher(model.to(device).eval(), AutoTokenizer.from_pretrained(folder), max_length)


def _locate(settings: Settings) -> tuple[str, dict[str, Any]]:
    logging.set_verbosity_error()  # its report on the missing head would worry a user for nothing
    logging.disable_progress_bar()
    if settings.model == "sample":
        return str(sample_teacher()), {"trust_remote_code": False, "local_files_only": True}
    folder = Path(settings.model).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise BadInput(
                f"teacher.model: the directory {folder} holds no config.json, so it is not a checkpoint."
            )
        return str(folder), {"trust_remote_code": False, "local_files_only": True}
    if folder.is_absolute() or settings.model.startswith((".", "~")) or settings.model.count("/") > 1:
        raise BadInput(f"teacher.model: the directory {folder} does not exist.")
    return settings.model, {"trust_remote_code": False, "revision": settings.revision}


def _check_length(config: Any, settings: Settings) -> None:
    limit = getattr(config, "max_position_embeddings", None)
    # RoBERTa numbers positions from its padding id + 1, and so reads two fewer than it has.
    if limit and "roberta" in config.model_type:
        limit -= 2
    if limit and limit > 0 and settings.max_length > limit:
        raise BadInput(
            f"teacher.max_length is {settings.max_length}, but {settings.model} reads at most {limit} tokens."
        )


def _explain(settings: Settings, error: Exception) -> Exception:
    """A user's message for what ``from_pretrained`` raised; its causes tell a wrong name from a dead line."""
    if isinstance(error, BadInput):
        return error
    chain: list[BaseException] = [error]
    while (before := chain[-1].__cause__ or chain[-1].__context__) and len(chain) < 10:
        chain.append(before)
    names = {type(link).__name__ for link in chain}
    text = " ".join(str(error).split())[:300]
    if names & {"RepositoryNotFoundError", "RevisionNotFoundError", "GatedRepoError", "HFValidationError"}:
        return BadInput(
            f"teacher.model: the hub has no checkpoint {settings.model!r} (revision {settings.revision or 'main'}) that "
            "you may read. Check the name, or for a private one log in (hf auth login) or set HF_TOKEN."
        )
    if "connect" in text.lower() or "offline" in text.lower() or any("Connect" in name for name in names):
        return Unavailable(
            f"teacher.model: {settings.model!r} is no local directory and the hub cannot be reached. {OFFLINE}"
        )
    return BadInput(f"teacher.model: {settings.model} cannot be loaded as a sequence classifier: {text}")
