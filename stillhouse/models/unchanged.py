"""Loads a finished classifier (``teacher.finetune: never``): a checkpoint that is used with its own head, as it is."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel

from stillhouse.errors import BadInput, listed
from stillhouse.models.finished import GroupedClassifier, ZeroShotClassifier, hypotheses, name_classes, suffixes_of
from stillhouse.models.labels import all_match, entailment_of, match_labels
from stillhouse.models.pretrained import explain, length_read, locate, set_outputs
from stillhouse.models.teacher import Teacher, adapt_embeddings, adapt_tokenizer
from stillhouse.params import OneTeacher as Settings
from stillhouse.task import TASK

logger = logging.getLogger(__name__)

INDEPENDENT = "multi_label_classification"  # the problem type of a checkpoint with a sigmoid for each label


@dataclass(frozen=True)
class Loaded:
    """A checkpoint, its tokenizer, and its own labels by number."""

    model: PreTrainedModel
    tokenizer: Any
    labels: list[str]


def load_finished(settings: Settings, classes: Sequence[str], descriptions: dict[str, str]) -> Teacher:
    """Load a checkpoint whose head is used as it is, for the classes of the data.

    A model of natural language inference gets a hypothesis for each class. The labels of any other classifier are
    matched to the classes (:func:`match_labels`).

    Args:
        settings: the settings of this teacher.
        classes: of the data, by number.
        descriptions: of the classes, for the hypotheses; a class without one is described by its name.

    Raises:
        BadInput: as :func:`load_pretrained`, or the checkpoint has no head of its own, or its labels do not match.
        Unavailable: the hub does not answer.
    """
    loaded = _load(settings)
    names, prompt = list(classes), "" if settings.prompt == "auto" else settings.prompt or ""
    entailment = None if settings.labels or all_match(loaded.labels, names) else entailment_of(loaded.labels)
    if entailment is not None:
        sentences = hypotheses(settings.hypothesis, names, descriptions)
        loaded.tokenizer.padding_side = "right"  # the hypothesis follows the last token of a text
        suffixes = suffixes_of(loaded.tokenizer, sentences, settings.model)
        length = length_read(loaded.model, settings, max(len(ids) for ids, _ in suffixes))
        logger.info("zero-shot teacher %s: %s", settings.model, listed([repr(sentence) for sentence in sentences], 3))
        zero_shot = ZeroShotClassifier(loaded.model, names, entailment, suffixes)
        return Teacher(zero_shot, loaded.tokenizer, length, prompt)
    length = length_read(loaded.model, settings)
    groups = match_labels(loaded.labels, names, settings.labels, settings.model)
    independent = loaded.model.config.problem_type == INDEPENDENT
    head = None if independent or any(len(group) > 1 for group in groups) else _head(loaded.model, len(loaded.labels))
    if head is None:
        grouped = GroupedClassifier(loaded.model, names, groups, independent)
        return Teacher(grouped, loaded.tokenizer, length, prompt)
    _select_rows(head, [group[0] for group in groups])
    name_classes(loaded.model.config, names)
    loaded.model.config.problem_type = TASK.problem_type
    return Teacher(loaded.model, loaded.tokenizer, length, prompt)


def _load(settings: Settings) -> Loaded:
    source, options = locate(settings)
    try:
        config = AutoConfig.from_pretrained(source, **options)
        labels = [str(label).strip() for _, label in sorted((config.id2label or {}).items())]
        set_outputs(config)
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        model, info = AutoModelForSequenceClassification.from_pretrained(
            source,
            config=config,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **options,
        )
        keys = [*info["missing_keys"], *info["mismatched_keys"]]
        lacking = sorted({key if isinstance(key, str) else key[0] for key in keys})
        if lacking:
            raise BadInput(
                f"teacher.finetune: never uses the checkpoint's own head, but {settings.model} is no finished "
                f"classifier: it lacks {listed(lacking, 3)}. Name another, or set teacher.finetune: auto."
            )
        adapt_tokenizer(tokenizer, model)
        adapt_embeddings(tokenizer, model)
    except Exception as error:  # transformers and tokenizers raise many types for files that they cannot read
        raise explain(settings, error) from None
    return Loaded(model.eval(), tokenizer, labels)


def _head(model: PreTrainedModel, labels: int) -> nn.Linear | None:
    found = [part for part in model.modules() if isinstance(part, nn.Linear) and part.out_features == labels]
    return found[-1] if found else None


@torch.no_grad()
def _select_rows(head: nn.Linear, rows: list[int]) -> None:
    """Reduce ``head`` to ``rows``, in this order: a softmax over them is the softmax over all, renormalised."""
    head.weight = nn.Parameter(head.weight[rows].clone())
    if head.bias is not None:
        head.bias = nn.Parameter(head.bias[rows].clone())
    head.out_features = len(rows)
