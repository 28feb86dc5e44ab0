"""The checkpoint that a teacher starts from: of the sample, a hub, or a local directory."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel
from transformers.utils import cached_file, logging

from stillhouse.data.sample import sample_teacher
from stillhouse.errors import BadInput, Unavailable
from stillhouse.models.encoder import EncoderClassifier, wants_mean_pooling
from stillhouse.models.teacher import Teacher
from stillhouse.params import Teacher as Settings

ATTENTION_DROPOUT = {"attention_probs_dropout_prob", "attention_dropout", "attn_pdrop"}  # BERT's, others', GPT-2's
OFFLINE = (
    "Without the hub: set teacher.model to a local directory (config.json, model.safetensors, tokenizer.json), or "
    "fill a cache on a connected machine and set HF_HOME to it with HF_HUB_OFFLINE=1, or set HF_ENDPOINT to a mirror."
)


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
        for name in ATTENTION_DROPOUT & config.to_dict().keys():
            setattr(config, name, settings.attention_dropout)
        config.num_labels = len(label_names)
        config.id2label = dict(enumerate(label_names))
        config.label2id = {name: index for index, name in enumerate(label_names)}
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        shared = {"config": config, "use_safetensors": True, "dtype": torch.float32, **options}
        model: PreTrainedModel | EncoderClassifier
        if _pools_by_mean(settings, source, config, options):
            model = EncoderClassifier(AutoModel.from_pretrained(source, **shared))
        else:
            model = AutoModelForSequenceClassification.from_pretrained(source, ignore_mismatched_sizes=True, **shared)
    except (OSError, ValueError, KeyError) as error:
        raise _explain(settings, error) from None
    if tokenizer.pad_token is None:  # decoders such as GPT-2 have none
        tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = tokenizer.pad_token_id
    freeze(model, settings.freeze_layers)
    return Teacher(model, tokenizer, settings.max_length)


def _pools_by_mean(settings: Settings, source: str, config: Any, options: dict[str, Any]) -> bool:
    if settings.pooling != "auto":
        return settings.pooling == "mean"
    kept = {key: value for key, value in options.items() if key != "trust_remote_code"}
    file = cached_file(
        source,
        "1_Pooling/config.json",
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
        **kept,
    )
    return wants_mean_pooling(config, json.loads(Path(file).read_text(encoding="utf-8")) if file else None)


def freeze(model: PreTrainedModel | EncoderClassifier, layers: int) -> None:
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
            for part in module.modules():
                if isinstance(part, nn.Dropout):  # noise in what does not learn only costs time
                    part.p = 0.0


def _locate(settings: Settings) -> tuple[str, dict[str, Any]]:
    logging.set_verbosity_error()  # its report on the missing head would worry a user for nothing
    logging.disable_progress_bar()
    if settings.model == "sample":
        return str(sample_teacher()), {"trust_remote_code": False, "local_files_only": True}
    folder = Path(settings.model).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise BadInput(f"teacher.model: the directory {folder} holds no config.json, so it is not a checkpoint.")
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
            f"teacher.model: the hub has no checkpoint {settings.model!r} (revision {settings.revision or 'main'}) "
            "that you may read. Check the name, or for a private one log in (hf auth login) or set HF_TOKEN."
        )
    if "connect" in text.lower() or "offline" in text.lower() or any("Connect" in name for name in names):
        return Unavailable(
            f"teacher.model: {settings.model!r} is no local directory and the hub cannot be reached. {OFFLINE}"
        )
    return BadInput(f"teacher.model: {settings.model} cannot be loaded as a sequence classifier: {text}")
