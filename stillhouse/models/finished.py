"""Finished classifiers: the outputs of a checkpoint's own head, turned into the classes of the data.

No weight changes. ``load_teacher`` loads the saved folder: the checkpoint as it was, and ``classes.json`` beside it.
"""

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import SequenceClassifierOutput

from stillhouse.errors import BadInput
from stillhouse.models.encoder import last_states

FILE = "classes.json"
PROBES = ("rain", "the goal of the match")  # texts that show how the tokenizer joins a text and a hypothesis
Suffix = tuple[list[int], list[int]]  # token ids, token types


class FinishedClassifier(nn.Module):
    """A checkpoint whose outputs are not yet the classes of the data. Subclasses compute the classes."""

    def __init__(self, model: PreTrainedModel, classes: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.config = copy.deepcopy(model.config)
        name_classes(self.config, classes)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        device: torch.device = self.model.device
        return device

    @property
    def base_model(self) -> PreTrainedModel:
        """The checkpoint without its head."""
        base: PreTrainedModel = self.model.base_model
        return base

    def get_input_embeddings(self) -> nn.Module:
        """Return the table of token vectors."""
        table: nn.Module = self.model.get_input_embeddings()
        return table

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the checkpoint as transformers does, and :meth:`values` to ``classes.json``."""
        self.model.save_pretrained(folder)
        content = {"classes": list(self.config.id2label.values()), **self.values()}
        (Path(folder) / FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def values(self) -> dict[str, Any]:
        """Return the arguments of the class beside the model and the classes, for JSON."""
        raise NotImplementedError


class GroupedClassifier(FinishedClassifier):
    """A classifier with more labels than classes: the probabilities of the labels of one class add up.

    Labels in no group are left out; a softmax of the logits is renormalised over the others.
    """

    def __init__(
        self, model: PreTrainedModel, classes: Sequence[str], groups: list[list[int]], independent: bool
    ) -> None:
        """Keep ``groups``, the numbers of the labels of each class.

        ``independent``: the checkpoint was trained with a sigmoid for each label, not with a softmax.
        """
        super().__init__(model, classes)
        self.groups, self.independent = groups, independent

    def values(self) -> dict[str, Any]:
        """Return the arguments beside the model and the classes, for JSON."""
        return {"groups": self.groups, "independent": self.independent}

    def forward(self, **inputs: Any) -> Any:
        """Compute the output of the checkpoint, with logits (batch, classes)."""
        output = self.model(**inputs)
        logits = output.logits.float()
        scores = functional.logsigmoid(logits) if self.independent else functional.log_softmax(logits, 1)
        output.logits = torch.stack([scores[:, group].logsumexp(1) for group in self.groups], 1)
        return output


class ZeroShotClassifier(FinishedClassifier):
    """A model of natural language inference: the class whose hypothesis the text entails most.

    W. Yin, J. Hay and D. Roth, "Benchmarking Zero-shot Text Classification", EMNLP 2019, arXiv:1909.00161. The logits
    of the classes are the logits of entailment, as in transformers' zero-shot pipeline. The model reads each text once
    for each class.
    """

    def __init__(
        self, model: PreTrainedModel, classes: Sequence[str], entailment: int, suffixes: Sequence[Suffix]
    ) -> None:
        """Keep the number of the label ``entailment``, and the tokens of each hypothesis (:func:`suffixes_of`)."""
        super().__init__(model, classes)
        self.entailment, self.suffixes = entailment, [(list(ids), list(types)) for ids, types in suffixes]

    def values(self) -> dict[str, Any]:
        """Return the arguments beside the model and the classes, for JSON."""
        return {"entailment": self.entailment, "suffixes": self.suffixes}

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        output_hidden_states: bool = False,
    ) -> SequenceClassifierOutput:
        """Compute logits (batch, classes) from token ids (batch, length), padded on the right.

        ``output_hidden_states`` adds the last states of the text, (batch, length, hidden size): their mean over the
        hypotheses.
        """
        length, logits, states = input_ids.shape[1], [], None
        padding = int(self.model.config.pad_token_id)
        for ids, types in self.suffixes:
            places = attention_mask.sum(1, keepdim=True) + torch.arange(len(ids), device=input_ids.device)
            batch = {
                "input_ids": _append(input_ids, ids, places, padding),
                "attention_mask": _append(attention_mask, [1] * len(ids), places, 0),
            }
            if token_type_ids is not None:
                batch["token_type_ids"] = _append(token_type_ids, types, places, 0)
            output = self.model(**batch, output_hidden_states=output_hidden_states)
            logits.append(output.logits[:, self.entailment])
            if output_hidden_states:
                part = last_states(output)[:, :length] / len(self.suffixes)
                states = part if states is None else states + part
        return SequenceClassifierOutput(
            logits=torch.stack(logits, 1), hidden_states=None if states is None else (states,)
        )


def load_classes(model: PreTrainedModel, folder: Path) -> FinishedClassifier:
    """Return ``model``, which was loaded from ``folder``, as the classifier whose ``classes.json`` is there."""
    values = json.loads((folder / FILE).read_text(encoding="utf-8"))
    return (ZeroShotClassifier if "suffixes" in values else GroupedClassifier)(model, **values)


def hypotheses(template: str, classes: Sequence[str], descriptions: dict[str, str]) -> list[str]:
    """Return ``template`` for each class, with its description, or without one its name, in the place of ``{}``."""
    return [template.replace("{}", descriptions.get(name) or name) for name in classes]


def suffixes_of(tokenizer: PreTrainedTokenizerBase, sentences: Sequence[str], model: str) -> list[Suffix]:
    """Return the tokens that follow those of a text alone if the tokenizer joins the text and each sentence.

    Raises:
        BadInput: the tokenizer puts the sentence elsewhere, as that of XLNet.
    """
    result = []
    for sentence in sentences:
        found = set()
        for text in PROBES:
            alone, pair = tokenizer(text)["input_ids"], tokenizer(text, sentence)
            types = pair.get("token_type_ids", [0] * len(pair["input_ids"]))
            if pair["input_ids"][: len(alone)] == alone:
                found.add((tuple(pair["input_ids"][len(alone) :]), tuple(types[len(alone) :])))
        if len(found) != 1:
            raise BadInput(
                f"teacher.model: the tokenizer of {model} does not put a hypothesis after a text. Use another."
            )
        ids, kinds = found.pop()
        result.append((list(ids), list(kinds)))
    return result


def _append(tensor: Tensor, values: list[int], places: Tensor, padding: int) -> Tensor:
    """Return ``tensor`` (batch, length) with ``values`` at the ``places`` (batch, values) after each text."""
    new = tensor.new_tensor(values).expand(len(tensor), -1)
    return functional.pad(tensor, (0, len(values)), value=padding).scatter(1, places, new)


def name_classes(config: Any, classes: Sequence[str]) -> None:
    """Set the classes in a configuration of transformers."""
    config.num_labels = len(classes)
    config.id2label = dict(enumerate(classes))
    config.label2id = {name: number for number, name in enumerate(classes)}
