"""How weights start: by name, never by chance."""

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
    """Fill a student's weights in place.

    Convolutions follow ``name``; biases are 0; norms are 1 and 0, but 0 and 0 for the last norm of a residual
    block (marked by the attribute ``zero_start``), so that each block begins as the identity (Goyal et al.
    2017, arXiv:1706.02677). ``embedding`` of shape ``(vocabulary, dimension)`` replaces the random one;
    row 0 (padding) stays 0.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv1d):
            INITIALISATIONS[name](module.weight)
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
        elif isinstance(module, nn.BatchNorm1d):
            nn.init.constant_(module.weight, 0.0 if getattr(module, "zero_start", False) else 1.0)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=EMBEDDING_STD)
            if embedding is not None:
                module.weight.data.copy_(embedding)
            module.weight.data[module.padding_idx or 0] = 0.0
        if isinstance(module, nn.Conv1d | nn.Linear | nn.BatchNorm1d) and module.bias is not None:
            nn.init.zeros_(module.bias)
