"""A sentence encoder as a classifier: the mean of its token vectors, and a linear layer on top."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

HEAD = "head.safetensors"


class EncoderClassifier(nn.Module):
    """What sentence-transformers checkpoints are good for, since they were trained with mean pooling.

    N. Reimers and I. Gurevych, "Sentence-BERT", EMNLP 2019. The classification head that transformers would
    put on such a checkpoint reads the first token instead, which says little before long training.
    """

    def __init__(self, encoder: PreTrainedModel, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = encoder.config
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(self.config.hidden_size, self.config.num_labels)

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
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **kinds).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        logits = self.classifier(self.dropout((states * mask).sum(1) / mask.sum(1).clamp(min=1.0)))
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(
            loss=loss, logits=logits, hidden_states=(states,) if output_hidden_states else None
        )

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the encoder as transformers does, and the linear layer beside it."""
        self.encoder.save_pretrained(folder)
        save_file(self.classifier.state_dict(), str(Path(folder) / HEAD))

    @classmethod
    def from_pretrained(cls, folder: Path) -> "EncoderClassifier":
        """Read what :meth:`save_pretrained` wrote."""
        model = cls(AutoModel.from_pretrained(folder, use_safetensors=True, dtype=torch.float32))
        model.classifier.load_state_dict(load_file(str(folder / HEAD)))
        return model


def wants_mean_pooling(config: Any, pooling: dict[str, Any] | None) -> bool:
    """Whether a checkpoint is a sentence encoder with mean pooling and has no classification head of its own.

    Args:
        config: its transformers configuration.
        pooling: its ``1_Pooling/config.json`` (sentence-transformers), where it has one.
    """
    has_head = any("SequenceClassification" in name for name in config.architectures or [])
    return not has_head and bool((pooling or {}).get("pooling_mode_mean_tokens"))
