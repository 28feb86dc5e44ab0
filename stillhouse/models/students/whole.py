"""The teacher itself as the largest student: the same network, served from ONNX with 8-bit weights."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from stillhouse.data.vocabulary import PAD_ID
from stillhouse.errors import BadInput
from stillhouse.models.students.network import TextNetwork

if TYPE_CHECKING:  # the other students do not need transformers, whose import takes seconds
    from stillhouse.models.teacher import Teacher

PROBES = ["a", "Rain and wind!", "the goal, the match: 3 to 1"]  # the tokenizer is checked on these
FOLDER = "teacher"  # in the folder of a saved student


class WholeTeacher(TextNetwork):
    """A teacher that reads token ids as students do: without special tokens, and 0 for padding.

    Attributes:
        before: ids of the special tokens before a text, and of the teacher's prompt.
        after: ids of the special tokens after a text.
    """

    piece_tables = ()
    float_parts = ()

    def __init__(self, teacher: Teacher) -> None:
        nn.Module.__init__(self)
        self.model, self.bag, self.wide = teacher.model, None, None
        tokenizer = tokenizer_of(teacher)
        encoding = tokenizer.encode("a")
        specials = encoding.special_tokens_mask
        first = specials.index(0)
        last = len(specials) - specials[::-1].index(0)
        prompt = tokenizer.encode(teacher.prompt, add_special_tokens=False).ids
        self.before, self.after = [*encoding.ids[:first], *prompt], encoding.ids[last:]
        self.padding = int(teacher.tokenizer.pad_token_id or 0)

    def forward(self, ids: Tensor) -> Tensor:
        """Return logits (batch, classes) of token ids (batch, length), 0 for padding."""
        count = (ids != PAD_ID).sum(1, keepdim=True)
        body = functional.pad(ids, (0, len(self.after)), value=PAD_ID)
        places = torch.arange(body.shape[1], device=ids.device).unsqueeze(0)
        body = torch.where(places < count, body, self.padding)
        for number, token in enumerate(self.after):
            body = torch.where(places == count + number, token, body)
        start = torch.tensor([self.before], device=ids.device, dtype=ids.dtype).expand(ids.shape[0], -1)
        mask = torch.cat([torch.ones_like(start), (places < count + len(self.after)).to(ids.dtype)], 1)
        logits: Tensor = self.model(input_ids=torch.cat([start, body], 1), attention_mask=mask).logits
        return logits


def load_whole(folder: Path, length: int) -> tuple[WholeTeacher, Tokenizer]:
    """Load the teacher in ``folder`` as a network of a student that reads ``length`` tokens, and its tokenizer.

    Raises:
        BadInput: the teacher reads each text once for every class, as zero-shot models do, or its tokenizer splits a
            text in another way than without prompt and special tokens.
    """
    from stillhouse.models.finished import ZeroShotClassifier
    from stillhouse.models.teacher import load_teacher

    teacher = load_teacher(folder, length, torch.device("cpu"))
    if isinstance(teacher.model, ZeroShotClassifier):
        raise BadInput(
            "student.network.architecture: teacher needs a teacher that reads a text once; a zero-shot model reads it "
            "with each class. Choose another size (student.size)."
        )
    network, tokenizer = WholeTeacher(teacher), tokenizer_of(teacher)
    own = [[*network.before, *tokenizer.encode(text, add_special_tokens=False).ids, *network.after] for text in PROBES]
    if own != teacher.tokens(PROBES)["input_ids"] or any(PAD_ID in tokenizer.encode(text).ids[1:] for text in PROBES):
        raise BadInput(
            "student.network.architecture: teacher does not work with this teacher's tokenizer: it splits a text in "
            "another way than without the prompt and special tokens. Choose another size (student.size)."
        )
    network.eval()
    return network, tokenizer


def copy_whole(source: Path, target: Path) -> None:
    """Copy the teacher of the folder ``source`` into the folder of a student."""
    shutil.copytree(source, target / FOLDER)


def tokenizer_of(teacher: Teacher) -> Tokenizer:
    """Return a copy of the teacher's tokenizer, without truncation and padding."""
    tokenizer = Tokenizer.from_str(teacher.tokenizer.backend_tokenizer.to_str())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
