"""A sentence encoder as a classifier: one vector from its token vectors, and a linear layer on top."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import (
    MODEL_FOR_TEXT_ENCODING_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForTextEncoding,
    PreTrainedModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from stillhouse.models.pooling import Pooling, Reading
from stillhouse.task import TASK

HEAD = "head.safetensors"


class EncoderClassifier(nn.Module):
    """What sentence-transformers checkpoints are good for, pooled as they were trained.

    N. Reimers and I. Gurevych, "Sentence-BERT", EMNLP 2019. The classification head that transformers would
    put on such a checkpoint reads the first token instead, which says little before long training.
    """

    def __init__(self, encoder: PreTrainedModel, reading: Reading | None = None, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = encoder.config
        self.pooling = Pooling(reading or Reading(), hidden_size(self.config))
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(self.pooling.size, self.config.num_labels)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = self.encoder.device
        return device

    @property
    def base_model(self) -> PreTrainedModel:
        """The encoder, by the name that transformers' own classifiers have for theirs."""
        return self.encoder

    def get_input_embeddings(self) -> nn.Module:
        """The table of token vectors."""
        table: nn.Module = self.encoder.get_input_embeddings()
        return table

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool = False,
    ) -> SequenceClassifierOutput:
        """Token ids (batch, length) to logits (batch, classes), and with labels (batch,) the mean loss.

        ``output_hidden_states`` adds the last layer's, (batch, length, hidden size).
        """
        kinds = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **kinds)[0]
        logits = self.classifier(self.dropout(self.pooling(states, attention_mask)))
        loss = None if labels is None else TASK.hard_loss(logits, labels, "mean")
        return SequenceClassifierOutput(
            loss=loss, logits=logits, hidden_states=(states,) if output_hidden_states else None
        )

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the encoder as transformers does, and the layers on top of it and how it reads beside it."""
        self.encoder.save_pretrained(folder)
        dense = {f"dense.{key}": value.contiguous() for key, value in self.pooling.dense.state_dict().items()}
        save_file(self.classifier.state_dict() | dense, str(Path(folder) / HEAD))

    @classmethod
    def from_pretrained(cls, folder: Path) -> "EncoderClassifier":
        """Read what :meth:`save_pretrained` and :meth:`Reading.save` wrote."""
        model = cls(load_encoder(folder, use_safetensors=True, dtype=torch.float32), Reading.load(folder))
        weights = load_file(str(folder / HEAD))
        dense = {key.removeprefix("dense."): weights.pop(key) for key in list(weights) if key.startswith("dense.")}
        model.pooling.dense.load_state_dict(dense)
        model.classifier.load_state_dict(weights)
        return model


def load_encoder(source: str | Path, config: Any = None, **options: Any) -> Any:
    """transformers' model without a head, of an encoder-decoder such as T5 the encoder alone.

    Returns what ``from_pretrained`` does: the model, and with ``output_loading_info`` what was not found.
    """
    if config is None:
        config = AutoConfig.from_pretrained(source)
    encodes = type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING  # for most the same class as AutoModel's
    return (AutoModelForTextEncoding if encodes else AutoModel).from_pretrained(source, config=config, **options)


def hidden_size(config: Any) -> int:
    """The size of a token's vector."""
    return int(config.get_text_config().hidden_size)
