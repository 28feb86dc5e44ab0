"""Initial weights of a student from the teacher: word vectors, and for a transformer also layers."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from stillhouse.errors import BadInput
from stillhouse.models.initialisation import EMBEDDING_STD
from stillhouse.models.students.architectures.transformer import Transformer
from stillhouse.models.students.network import TextNetwork
from stillhouse.models.students.student import Start
from stillhouse.params import Student as Settings
from stillhouse.provenance import file_md5, folder_md5

if TYPE_CHECKING:  # loading transformers takes seconds, and a student that starts at random does not need it
    from transformers import PreTrainedModel

    from stillhouse.models.teacher import Teacher

PIECES_AT_ONCE = 256
SHAPE = {"width": "hidden_size", "heads": "num_attention_heads"}  # of a student: key in the teacher's config.json
# Names of a transformer.Layer's parts, and of the same parts in BERT, RoBERTa and related models.
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
    """Reduced vectors (vocabulary, dimension). ``vectors @ basis + mean`` approximates the teacher's vectors."""

    vectors: Tensor
    basis: Tensor
    mean: Tensor


def inherit(network: TextNetwork, teacher: Teacher, tokenizer: Tokenizer) -> None:
    """Initialise ``network`` from ``teacher``, in place.

    A transformer gets layers of the teacher, and the input vectors that these layers read. Any other student gets the
    teacher's output vectors of each word, which contain what the teacher has learnt about the word.

    Raises:
        BadInput: a transformer student has another shape than the teacher, or the teacher is not like BERT.
    """
    if not isinstance(network, Transformer):
        inherit_words(network, output_vectors(teacher, pieces_of(tokenizer)))
        return
    words = principal_components(input_vectors(teacher, pieces_of(tokenizer)), network.embedding.embedding_dim)
    _inherit_layers(network, teacher, words)
    _set_word_vectors(network, words.vectors)


def inherit_words(network: TextNetwork, vectors: Tensor) -> None:
    """Initialise the word vectors of ``network`` from the teacher's output vectors (pieces, hidden size), in place."""
    reduced = principal_components(vectors, network.embedding.embedding_dim).vectors
    _set_word_vectors(network, reduced * EMBEDDING_STD / float(reduced.std()))  # the deviation of random vectors


def pieces_of(tokenizer: Tokenizer) -> list[str]:
    """Return the word pieces of ``tokenizer``, by number."""
    return [str(tokenizer.id_to_token(index)) for index in range(tokenizer.get_vocab_size())]


def _set_word_vectors(network: TextNetwork, vectors: Tensor) -> None:
    with torch.no_grad():
        network.embedding.weight.copy_(vectors)
        network.embedding.weight[network.embedding.padding_idx or 0] = 0.0


def input_vectors(teacher: Teacher, pieces: list[str]) -> Tensor:
    """Return the teacher's input vector of each piece, (pieces, hidden size).

    If the teacher splits a piece into several tokens, the vector is the mean of theirs.
    """
    table = teacher.model.get_input_embeddings().get_parameter("weight").detach().float().cpu()
    parts = teacher.tokenizer(pieces, add_special_tokens=False)["input_ids"]
    return torch.stack([table[ids].mean(0) if ids else torch.zeros(table.shape[1]) for ids in parts])


def output_vectors(teacher: Teacher, pieces: list[str]) -> Tensor:
    """Return the mean of the teacher's last states for each piece alone, (pieces, hidden size).

    S. Tulkens and T. van Dongen, "Model2Vec" (2024). Here the teacher is fine-tuned, so the vectors separate words by
    their class.
    """
    from stillhouse.models.encoder import last_states

    vectors = torch.zeros(len(pieces), teacher.model.config.get_text_config().hidden_size)
    without_prompt = replace(teacher, prompt="")
    for rows, tokens, output in without_prompt.batches(pieces, PIECES_AT_ONCE, states=True):
        mask = tokens["attention_mask"].unsqueeze(2)
        states = last_states(output).float()
        vectors[torch.from_numpy(rows)] = ((states * mask).sum(1) / mask.sum(1).clamp(min=1)).cpu()
    return vectors


def principal_components(rows: Tensor, dimension: int) -> WordVectors:
    """Reduce vectors (words, size) to ``dimension`` principal components; if there are fewer, pad with 0."""
    mean = rows.mean(0)
    centred = rows - mean
    # The covariance is (size, size), so memory does not grow with the vocabulary. eigh sorts in ascending order.
    _, directions = torch.linalg.eigh(centred.T @ centred)
    basis = directions.flip(1)[:, :dimension].T
    missing = dimension - basis.shape[0]
    return WordVectors(
        nn.functional.pad(centred @ basis.T, (0, missing)),
        nn.functional.pad(basis, (0, 0, 0, missing)),
        mean,
    )


def _inherit_layers(network: Transformer, teacher: Teacher, words: WordVectors) -> None:
    """Copy the teacher's position vectors, first norm and first layers.

    H. Sajjad et al., "On the Effect of Dropping Layers of Pre-trained Transformer Models", 2020, arXiv:2004.03844:
    without the top layers a model loses less than without others.
    """
    base: PreTrainedModel = teacher.model.base_model
    config = base.config
    layers = getattr(getattr(base, "encoder", None), "layer", None)
    if layers is None or not hasattr(layers[0], "attention") or not hasattr(layers[0].attention, "self"):
        raise BadInput(
            "student.start: teacher takes over layers of BERT, RoBERTa and related models, but the teacher is "
            f"a {config.model_type}. Set student.start: random, or choose another student.network.architecture."
        )
    shape = {name: getattr(config, key) for name, key in SHAPE.items()}
    own = {"width": network.positions.embedding_dim, "heads": network.heads}
    if shape != own or config.intermediate_size != 4 * config.hidden_size or len(network.layers) > len(layers):
        raise BadInput(
            f"student.start: teacher needs a transformer of the teacher's shape: student.network.width: "
            f"{shape['width']}, heads: {shape['heads']}, depth: at most {len(layers)}. Set these, or start: random."
        )
    for layer, source in zip(network.layers, layers[: len(network.layers)], strict=True):
        _copy_layer(layer, source)
    table = base.embeddings.position_embeddings.weight
    first = base.embeddings.position_embeddings.padding_idx
    first = 0 if first is None else first + 1  # RoBERTa counts positions from padding id + 1
    with torch.no_grad():
        count = min(len(table) - first, len(network.positions.weight))
        network.positions.weight[:count] = table[first : first + count]
        # Positions beyond the teacher's table get its last vector.
        network.positions.weight[count:] = table[-1]
        network.positions.weight += base.embeddings.token_type_embeddings.weight[0]
        network.widen.weight.copy_(words.basis.T)
        network.widen.bias.copy_(words.mean)
    network.norm.load_state_dict(base.embeddings.LayerNorm.state_dict())


def _copy_layer(layer: nn.Module, source: nn.Module) -> None:
    for part, source_part in LAYER_PARTS.items():
        layer.get_submodule(part).load_state_dict(source.get_submodule(source_part).state_dict())


def with_teacher_shape(settings: Settings, teacher: Path) -> Settings:
    """Return a student's settings with the teacher's width and attention heads, if it takes over layers of the teacher.

    Args:
        settings: of the student.
        teacher: the folder of the teacher.
    """
    if settings.start == "random" or settings.network.architecture != "transformer":
        return settings
    config = json.loads((teacher / "config.json").read_text(encoding="utf-8"))
    found = {name: config.get(key) for name, key in SHAPE.items()}
    if not all(found.values()):
        return settings  # not like BERT, which `inherit` explains
    return settings.model_copy(update={"network": settings.network.model_copy(update=found)})


def student_start(start: str, teacher: Path, tokenizer: Tokenizer, words: Path) -> Start | None:
    """Return the initialisation of ``student.start``: from the teacher, or None for random weights.

    Args:
        start: ``teacher`` or ``random``.
        teacher: the folder of the teacher. It is loaded only for a transformer, which takes over layers.
        tokenizer: of the student.
        words: a file with the teacher's output vectors of all pieces of the vocabulary (:func:`output_vectors`). A
            smaller vocabulary has the first of these pieces.
    """
    if start == "random":
        return None

    def apply(network: TextNetwork) -> None:
        if not isinstance(network, Transformer):
            return inherit_words(network, torch.from_numpy(np.load(words)[: tokenizer.get_vocab_size()]))
        from stillhouse.models.teacher import load_teacher

        # The teacher reads single words, so 32 tokens suffice.
        return inherit(network, load_teacher(teacher, 32, torch.device("cpu")), tokenizer)

    return Start(apply, f"{folder_md5(teacher)} {file_md5(words)}")
