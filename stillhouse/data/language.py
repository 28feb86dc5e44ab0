"""Warn before the work where the teacher probably does not know the texts' language; no result depends on it."""

import logging
from collections.abc import Callable
from pathlib import Path

from datasets import Dataset

from stillhouse.data.familiar import LOOKED_AT, Familiarity, familiarity
from stillhouse.data.sample import sample_teacher
from stillhouse.params import Teacher

logger = logging.getLogger(__name__)

Encoder = tuple[Callable[[str], list[int]], int | None]


def warn_of_language(settings: Teacher, texts: Dataset) -> None:
    """Log what the teacher's tokenizer makes of the column ``text``, and a warning where it is doubtful."""
    if found := look_at_language(settings, texts):
        logger.info("the teacher's tokenizer on these texts: %s", found)
        if found.is_doubtful:
            logger.warning("%s", doubt(settings, found))


def look_at_language(settings: Teacher, texts: Dataset) -> Familiarity | None:
    """What the teacher's tokenizer makes of the column ``text``; None where it cannot be loaded now."""
    rows = range(0, len(texts), max(1, len(texts) // LOOKED_AT))
    try:
        return familiarity(texts.select(rows)["text"][:], *_encoder(settings))
    except Exception as error:  # the teacher stage names what is wrong with a checkpoint
        logger.info("the teacher's tokenizer was not looked at (%s)", " ".join(str(error).split())[:120])
        return None


def doubt(settings: Teacher, found: Familiarity) -> str:
    """The warning, and what to do."""
    return (
        f"the teacher ({settings.model}) probably does not know the language of these texts: {found}. Its answers may "
        "be worse than those of a bag of words. Set teacher.model to a model of that language, or a multilingual one"
    )


def _encoder(settings: Teacher) -> Encoder:
    """From text to token ids, and the unknown token's id; of a tokenizer.json in a second less than by transformers."""
    folder = sample_teacher() if settings.model == "sample" else Path(settings.model).expanduser()
    if (folder / "tokenizer.json").is_file():
        from tokenizers import Tokenizer

        plain = Tokenizer.from_file(str(folder / "tokenizer.json"))
        plain.no_truncation()
        plain.no_padding()
        names = [getattr(plain.model, "unk_token", None), "[UNK]", "<unk>"]
        known = [plain.token_to_id(name) for name in names if name]
        unknown = next((token for token in known if token is not None), None)
        return lambda text: list(plain.encode(text, add_special_tokens=False).ids), unknown
    from transformers import AutoTokenizer

    source = str(folder) if folder.is_dir() else settings.model
    tokenizer = AutoTokenizer.from_pretrained(source, revision=settings.revision, trust_remote_code=False)
    return lambda text: list(tokenizer(text, add_special_tokens=False)["input_ids"]), tokenizer.unk_token_id
