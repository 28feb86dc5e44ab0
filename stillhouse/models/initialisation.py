"""Named initialisations of a student's weights."""

from collections.abc import Callable

from torch import Tensor, nn

INITIALISATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    # He et al. 2015, arXiv:1502.01852; Glorot & Bengio 2010; Saxe et al. 2014, arXiv:1312.6120.
    "kaiming": lambda weight: nn.init.kaiming_normal_(weight, mode="fan_in", nonlinearity="relu"),
    "xavier": nn.init.xavier_uniform_,
    "orthogonal": nn.init.orthogonal_,
}
EMBEDDING_STD = 0.1


def initialise(model: nn.Module, name: str, embedding: Tensor | None = None) -> None:
    """Initialise a student's weights in place.

    - Convolutions and linear layers: the initialisation ``name``. Biases: 0.
    - Norms: scale 1, shift 0. The last norm of a residual block (attribute ``zero_start``) has scale 0, so that each
      block starts as the identity (Goyal et al. 2017, arXiv:1706.02677).
    - LSTM: orthogonal recurrent weights, forget gates open (Jozefowicz et al. 2015).
    - Word vectors: random, or ``embedding`` of shape ``(vocabulary, dimension)``. The row of padding stays 0.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv1d | nn.Linear):
            INITIALISATIONS[name](module.weight)
        elif isinstance(module, nn.BatchNorm1d | nn.LayerNorm):
            nn.init.constant_(module.weight, 0.0 if getattr(module, "zero_start", False) else 1.0)
        elif isinstance(module, nn.LSTM):
            _initialise_lstm(module, name)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=EMBEDDING_STD)
            if module.padding_idx is not None:
                if embedding is not None:
                    module.weight.data.copy_(embedding)
                module.weight.data[module.padding_idx] = 0.0
        bias = getattr(module, "bias", None)
        if isinstance(bias, nn.Parameter):
            nn.init.zeros_(bias)


def _initialise_lstm(lstm: nn.LSTM, name: str) -> None:
    for key, weight in lstm.named_parameters():
        if key.startswith("weight_hh"):
            for gate in weight.data.chunk(4):
                nn.init.orthogonal_(gate)
        elif key.startswith("weight_ih"):
            INITIALISATIONS[name](weight)
        else:
            nn.init.zeros_(weight)
            if key.startswith("bias_ih"):  # the order of the gates is input, forget, cell, output
                weight.data[lstm.hidden_size : 2 * lstm.hidden_size] = 1.0
