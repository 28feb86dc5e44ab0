"""Word vectors for the student's vocabulary, taken from the teacher."""

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from stillhouse.models.encoder import EncoderClassifier
from stillhouse.models.initialisation import EMBEDDING_STD


def teacher_embeddings(
    teacher: PreTrainedModel | EncoderClassifier,
    teacher_tokenizer: PreTrainedTokenizerBase,
    tokenizer: Tokenizer,
    dimension: int,
) -> Tensor:
    """The teacher's input vectors for each of the student's pieces, reduced to ``dimension`` by PCA.

    A piece that the teacher splits further gets the mean of its parts. After Tulkens and van Dongen,
    "Model2Vec" (2024), without its Zipf weighting. Fewer teacher dimensions than asked are padded with 0.

    Returns:
        float32 of shape ``(vocabulary, dimension)``, scaled to the standard deviation that random
        embeddings start from.
    """
    table = teacher.get_input_embeddings().get_parameter("weight").detach().float().cpu()
    pieces = [str(tokenizer.id_to_token(index)) for index in range(tokenizer.get_vocab_size())]
    parts = teacher_tokenizer(pieces, add_special_tokens=False)["input_ids"]
    rows = torch.zeros(len(pieces), table.shape[1])
    for index, ids in enumerate(parts):
        if ids:
            rows[index] = table[ids].mean(0)
    rows -= rows.mean(0)
    # The covariance is (H, H): memory does not grow with the vocabulary. eigh gives ascending order.
    _, vectors = torch.linalg.eigh(rows.T @ rows)
    reduced = rows @ vectors.flip(1)[:, :dimension]
    reduced = torch.nn.functional.pad(reduced, (0, dimension - reduced.shape[1]))
    return reduced * (EMBEDDING_STD / reduced.std())
