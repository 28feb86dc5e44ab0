"""A sentence encoder as a classifier: it pools the token vectors and adds a linear layer."""

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

from stillhouse.models.pooling import Pooling, PoolingConfig
from stillhouse.task import TASK

HEAD = "head.safetensors"


class EncoderClassifier(nn.Module):
    """A classifier on a sentence-transformers checkpoint, with the pooling that the checkpoint was trained with.

    N. Reimers and I. Gurevych, "Sentence-BERT", EMNLP 2019. The classification head of transformers would read the
    first token instead. In such a checkpoint this token has little information before long training.
    """

    def __init__(self, encoder: PreTrainedModel, pooling: PoolingConfig | None = None, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = encoder.config
        self.pooling = Pooling(pooling or PoolingConfig(), hidden_size(self.config))
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(self.pooling.size, self.config.num_labels)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        device: torch.device = self.encoder.device
        return device

    @property
    def base_model(self) -> PreTrainedModel:
        """The encoder, under the name that the classifiers of transformers use."""
        return self.encoder

    def get_input_embeddings(self) -> nn.Module:
        """Return the table of token vectors."""
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
        """Compute logits (batch, classes) from token ids (batch, length); with labels (batch,) also the mean loss.

        ``output_hidden_states`` adds the states of the last layer, (batch, length, hidden size).
        """
        kinds = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **kinds)[0]
        logits = self.classifier(self.dropout(self.pooling(states, attention_mask)))
        loss = None if labels is None else TASK.hard_loss(logits, labels, "mean")
        return SequenceClassifierOutput(
            loss=loss, logits=logits, hidden_states=(states,) if output_hidden_states else None
        )

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the encoder as transformers does, and the layers on top of it to ``head.safetensors``."""
        self.encoder.save_pretrained(folder)
        dense = {f"dense.{key}": value.contiguous() for key, value in self.pooling.dense.state_dict().items()}
        save_file(self.classifier.state_dict() | dense, str(Path(folder) / HEAD))

    @classmethod
    def from_pretrained(cls, folder: Path) -> "EncoderClassifier":
        """Load a folder of :meth:`save_pretrained` and :meth:`PoolingConfig.save`."""
        model = cls(load_encoder(folder, use_safetensors=True, dtype=torch.float32), PoolingConfig.load(folder))
        weights = load_file(str(folder / HEAD))
        dense = {key.removeprefix("dense."): weights.pop(key) for key in list(weights) if key.startswith("dense.")}
        model.pooling.dense.load_state_dict(dense)
        model.classifier.load_state_dict(weights)
        return model


def load_encoder(source: str | Path, config: Any = None, **options: Any) -> Any:
    """Load a transformers model without its head; of an encoder-decoder such as T5 the encoder alone.

    Returns:
        The result of ``from_pretrained``: the model; with ``output_loading_info`` also lists of missing weights.
    """
    if config is None:
        config = AutoConfig.from_pretrained(source)
    encodes = type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING  # for most models AutoModel has the same class
    return (AutoModelForTextEncoding if encodes else AutoModel).from_pretrained(source, config=config, **options)


def hidden_size(config: Any) -> int:
    """Return the size of a token vector."""
    return int(config.get_text_config().hidden_size)


def last_states(output: Any) -> Tensor:
    """Return the last states of each token (batch, length, hidden size); of an encoder-decoder those of its encoder."""
    states = getattr(output, "hidden_states", None)
    last: Tensor = states[-1] if states else output.encoder_last_hidden_state
    return last
