"""Loads the checkpoint of a teacher: from the sample, a hub, or a local directory."""

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel
from transformers.utils import cached_file
from transformers.utils import logging as transformers_logging

from stillhouse.data.sample import sample_teacher
from stillhouse.errors import BadInput, Unavailable
from stillhouse.models.checkpoint import check_weights, match_head, max_tokens
from stillhouse.models.encoder import EncoderClassifier, load_encoder
from stillhouse.models.finished import name_classes
from stillhouse.models.layers import freeze
from stillhouse.models.pooling import PoolingConfig
from stillhouse.models.sentence import SentenceEncoder, read_sentence_encoder
from stillhouse.models.teacher import Teacher, adapt_embeddings, adapt_tokenizer
from stillhouse.params import OneTeacher as Settings
from stillhouse.task import TASK

logger = logging.getLogger(__name__)

ATTENTION_DROPOUT = {"attention_probs_dropout_prob", "attention_dropout", "attn_pdrop"}  # BERT's, others', GPT-2's
OFFLINE = (
    "Without the hub: set teacher.model to a local directory (config.json, model.safetensors, tokenizer.json), or "
    "fill a cache on a connected machine and set HF_HOME to it with HF_HUB_OFFLINE=1, or set HF_ENDPOINT to a mirror."
)


def load_pretrained(settings: Settings, label_names: list[str]) -> Teacher:
    """Load the checkpoint to fine-tune. It gets a new head if its own head has other classes.

    The function reads safetensors only and runs no code of the checkpoint.

    Raises:
        BadInput: no such checkpoint, not a sequence classifier, no safetensors, weights that are missing or of another
            size, a tokenizer of another checkpoint, or ``max_length`` above the limit of the model.
        Unavailable: the hub does not answer.
    """
    source, options = locate(settings)
    try:
        sentence = read_sentence_encoder(partial(_fetch, source, options), settings.model)
        if sentence and sentence.encoder:
            options["subfolder"] = sentence.encoder
        config = AutoConfig.from_pretrained(source, **options)
        checkpoint_labels = list((config.id2label or {}).values())
        _configure(config, settings, label_names)
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        pooling = _pooling_config(settings, config, sentence, tokenizer)
        shared = {"config": config, "use_safetensors": True, "dtype": torch.float32, "output_loading_info": True}
        model: PreTrainedModel | EncoderClassifier
        if pooling.poolings:
            encoder, info = load_encoder(source, **shared, **options)
            model = EncoderClassifier(encoder, pooling)
            if pooling.layers and sentence:
                model.pooling.dense.load_state_dict(sentence.weights)
        else:
            config.problem_type = TASK.problem_type  # the checkpoint may have another
            model, info = AutoModelForSequenceClassification.from_pretrained(
                source, ignore_mismatched_sizes=True, **shared, **options
            )
            match_head(model, checkpoint_labels, label_names, info)
        check_weights(model, info, settings.model)
        adapt_tokenizer(tokenizer, model)
        adapt_embeddings(tokenizer, model)
    except Exception as error:  # transformers and tokenizers raise many types for files that they cannot read
        raise explain(settings, error) from None
    length = length_read(model, settings)
    freeze(model, settings.freeze_layers)
    return Teacher(model, tokenizer, length, pooling.prompt)


def length_read(model: PreTrainedModel | EncoderClassifier, settings: Settings, more: int = 0) -> int:
    """Return how many tokens of each text ``model`` reads. It reads ``more`` tokens after each text.

    Raises:
        BadInput: ``max_length`` is a number above the limit of the model.
    """
    limit = max_tokens(model)
    if limit and settings.tokens + more > limit:
        if settings.max_length == "auto":
            return limit - more
        beside = f" with the {more} of the longest hypothesis" if more else ""
        raise BadInput(
            f"teacher.max_length is {settings.max_length}, but {settings.model} reads at most {limit} tokens{beside}. "
            f"Set it to {limit - more} or less."
        )
    return settings.tokens


def _configure(config: Any, settings: Settings, label_names: list[str]) -> None:
    """Set the classes and dropout of this project, and the form of the outputs, whatever the checkpoint has."""
    for name in ATTENTION_DROPOUT & config.to_dict().keys():
        setattr(config, name, settings.attention_dropout)
    name_classes(config, label_names)
    config.problem_type = None
    set_outputs(config)


def set_outputs(config: Any) -> None:
    """Set the form of the outputs of a model, whatever its checkpoint has."""
    config.return_dict = True
    config.output_hidden_states = False
    config.output_attentions = False


def _pooling_config(settings: Settings, config: Any, sentence: SentenceEncoder | None, tokenizer: Any) -> PoolingConfig:
    """Return pooling and prompt: as set, or those of a sentence encoder without its own head."""
    has_head = any("SequenceClassification" in name for name in config.architectures or [])
    encoder = None if has_head else sentence
    if settings.pooling == "auto":
        pooling = encoder.pooling if encoder else PoolingConfig(poolings=())
    else:
        given = () if settings.pooling == "head" else (settings.pooling,)
        pooling = PoolingConfig(given, prompt=encoder.pooling.prompt if encoder else "")
    prompt = pooling.prompt if settings.prompt == "auto" else settings.prompt or ""
    prompt_tokens = 0
    if prompt and encoder and not encoder.includes_prompt:
        ids = tokenizer(prompt)["input_ids"]
        prompt_tokens = len(ids) - (ids[-1] in tokenizer.all_special_ids)
    if prompt:
        logger.info("the teacher reads each text after the prompt %r", prompt)
    if pooling.poolings and tokenizer.padding_side != "right":
        tokenizer.padding_side = "right"  # so that positions do not depend on the padding of a batch
    return replace(pooling, prompt=prompt, prompt_tokens=prompt_tokens)


def _fetch(source: str, options: dict[str, Any], name: str) -> Path | None:
    passed = {key: value for key, value in options.items() if key not in ("trust_remote_code", "subfolder")}
    file = cached_file(
        source,
        name,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
        **passed,
    )
    return Path(file) if file else None


def locate(settings: Settings) -> tuple[str, dict[str, Any]]:
    """Return the folder or the hub's name of the checkpoint, and the options to load its files with.

    Raises:
        BadInput: the directory does not exist, or is not a checkpoint.
    """
    transformers_logging.set_verbosity_error()  # the report on the missing head would be misleading
    transformers_logging.disable_progress_bar()
    if settings.model == "sample":
        return str(sample_teacher()), {"trust_remote_code": False, "local_files_only": True}
    folder = Path(settings.model).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
            raise BadInput(f"teacher.model: the directory {folder} holds no config.json, so it is not a checkpoint.")
        return str(folder), {"trust_remote_code": False, "local_files_only": True}
    if folder.is_absolute() or settings.model.startswith((".", "~")) or settings.model.count("/") > 1:
        raise BadInput(f"teacher.model: the directory {folder} does not exist.")
    return settings.model, {"trust_remote_code": False, "revision": settings.revision}


def explain(settings: Settings, error: Exception) -> Exception:
    """Return the error for the user. The chain of causes separates a wrong name from a failed connection."""
    if isinstance(error, BadInput):
        return error
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) and len(chain) < 10:
        chain.append(cause)
    names = {type(link).__name__ for link in chain}
    text = " ".join(str(error).split())[:300]
    text = text if isinstance(error, OSError | ValueError) else f"{type(error).__name__}: {text}"
    if "model type `gliclass`" in text.lower():
        return BadInput(
            f"teacher.model: {settings.model} is a GLiClass model. transformers has no code for it, so it is not "
            "supported. Use a zero-shot model of natural language inference (labels entailment and contradiction)."
        )
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
