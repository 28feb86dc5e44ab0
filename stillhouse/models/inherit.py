"""What a student takes over from the teacher before it learns: word vectors, and a transformer its layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from stillhouse.errors import BadInput
from stillhouse.models.initialisation import EMBEDDING_STD
from stillhouse.models.students.architectures.transformer import Transformer
from stillhouse.models.students.network import TextNetwork
from stillhouse.models.students.student import Start
from stillhouse.provenance import folder_md5

if TYPE_CHECKING:  # transformers takes seconds to load, for nothing where a student starts at random
    from transformers import PreTrainedModel

    from stillhouse.models.teacher import Teacher

PIECES_AT_ONCE = 256
# Where BERT, RoBERTa and their kin keep what a transformer.Layer calls so.
LAYER_PARTS = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "joined": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "inner": "intermediate.dense",
    "outer": "output.dense",
    "norm2": "output.LayerNorm",
}


@dataclass(frozen=True)
class WordVectors:
    """Reduced vectors (vocabulary, dimension), and the way back: ``vectors @ basis + mean`` are the teacher's."""

    vectors: Tensor
    basis: Tensor
    mean: Tensor


def inherit(network: TextNetwork, teacher: Teacher, tokenizer: Tokenizer) -> None:
    """Start ``network`` from what ``teacher`` knows, in place.

    A transformer takes over layers, and the word vectors that these read. Any other student starts from what
    the teacher makes of each word, which is what it has learnt about it.

    Raises:
        BadInput: a transformer student whose shape is not the teacher's, or a teacher unlike BERT.
    """
    pieces = [str(tokenizer.id_to_token(index)) for index in range(tokenizer.get_vocab_size())]
    dimension = network.embedding.embedding_dim
    if isinstance(network, Transformer):
        words = reduced(input_vectors(teacher, pieces), dimension)
        vectors = words.vectors
        _inherit_layers(network, teacher, words)
    else:
        vectors = reduced(output_vectors(teacher, pieces), dimension).vectors
        vectors *= EMBEDDING_STD / float(vectors.std())  # the size that random vectors have
    with torch.no_grad():
        network.embedding.weight.copy_(vectors)
        network.embedding.weight[network.embedding.padding_idx or 0] = 0.0


def input_vectors(teacher: Teacher, pieces: list[str]) -> Tensor:
    """The teacher's input vector of each piece, (pieces, hidden size); of one that it splits, the parts' mean."""
    table = teacher.model.get_input_embeddings().get_parameter("weight").detach().float().cpu()
    parts = teacher.tokenizer(pieces, add_special_tokens=False)["input_ids"]
    return torch.stack([table[ids].mean(0) if ids else torch.zeros(table.shape[1]) for ids in parts])


def output_vectors(teacher: Teacher, pieces: list[str]) -> Tensor:
    """The mean of the teacher's last states when it reads a piece alone, (pieces, hidden size).

    S. Tulkens and T. van Dongen, "Model2Vec" (2024); here of the fine-tuned teacher, so that words lie apart
    by what they say about the classes.
    """
    from stillhouse.models.teacher import last_states

    vectors = torch.zeros(len(pieces), teacher.model.config.get_text_config().hidden_size)
    alone = replace(teacher, prompt="")
    for rows, tokens, output in alone.batches(pieces, PIECES_AT_ONCE, states=True):
        mask = tokens["attention_mask"].unsqueeze(2)
        states = last_states(output).float()
        vectors[torch.from_numpy(rows)] = ((states * mask).sum(1) / mask.sum(1).clamp(min=1)).cpu()
    return vectors


def reduced(rows: Tensor, dimension: int) -> WordVectors:
    """Vectors (words, size) by their ``dimension`` principal components; where there are fewer, padded with 0."""
    mean = rows.mean(0)
    centred = rows - mean
    # The covariance is (size, size): memory does not grow with the vocabulary. eigh gives ascending order.
    _, directions = torch.linalg.eigh(centred.T @ centred)
    basis = directions.flip(1)[:, :dimension].T
    missing = dimension - basis.shape[0]
    return WordVectors(
        nn.functional.pad(centred @ basis.T, (0, missing)),
        nn.functional.pad(basis, (0, 0, 0, missing)),
        mean,
    )


def _inherit_layers(network: Transformer, teacher: Teacher, words: WordVectors) -> None:
    """Layers spread evenly from the teacher's first to its last (Sanh et al. 2019), its positions, its first norm."""
    base: PreTrainedModel = teacher.model.base_model
    config = base.config
    layers = getattr(getattr(base, "encoder", None), "layer", None)
    if layers is None or not hasattr(layers[0], "attention") or not hasattr(layers[0].attention, "self"):
        raise BadInput(
            "student.start: teacher takes over layers of BERT, RoBERTa and their kin, but the teacher is a "
            f"{config.model_type}. Set student.start: random, or choose another student.network.architecture."
        )
    shape = {"width": config.hidden_size, "heads": config.num_attention_heads}
    mine = {"width": network.positions.embedding_dim, "heads": network.heads}
    if shape != mine or config.intermediate_size != 4 * config.hidden_size or len(network.layers) > len(layers):
        raise BadInput(
            f"student.start: teacher needs a transformer of the teacher's shape: student.network.width: "
            f"{shape['width']}, heads: {shape['heads']}, depth: at most {len(layers)}. Set these, or start: random."
        )
    chosen = torch.linspace(0, len(layers) - 1, len(network.layers)).round().int().tolist()
    for layer, index in zip(network.layers, chosen, strict=True):
        _copy_layer(layer, layers[index])
    table = base.embeddings.position_embeddings.weight
    first = base.embeddings.position_embeddings.padding_idx
    first = 0 if first is None else first + 1  # RoBERTa counts from there
    with torch.no_grad():
        count = min(len(table) - first, len(network.positions.weight))
        network.positions.weight[:count] = table[first : first + count]
        # Later positions than the teacher knows go on from its last.
        network.positions.weight[count:] = table[-1]
        network.positions.weight += base.embeddings.token_type_embeddings.weight[0]
        network.widen.weight.copy_(words.basis.T)
        network.widen.bias.copy_(words.mean)
    network.norm.load_state_dict(base.embeddings.LayerNorm.state_dict())


def _copy_layer(layer: nn.Module, source: nn.Module) -> None:
    for mine, theirs in LAYER_PARTS.items():
        layer.get_submodule(mine).load_state_dict(source.get_submodule(theirs).state_dict())


def starting_from(start: str, teacher: Path, tokenizer: Tokenizer) -> Start | None:
    """What ``student.start`` asks for: a change to a new network by the teacher in a folder, or None for random."""
    if start == "random":
        return None
    from stillhouse.models.teacher import load_teacher

    loaded = load_teacher(teacher, 32, torch.device("cpu"))  # it reads single words only
    return Start(lambda network: inherit(network, loaded, tokenizer), folder_md5(teacher))
