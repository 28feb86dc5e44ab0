"""Warns early if the teacher probably does not know the language of the texts. No result depends on this."""

import logging
from collections.abc import Callable
from pathlib import Path

from datasets import Dataset

from stillhouse.data.sample import sample_teacher
from stillhouse.data.tokenizer_fit import SAMPLE, TokenizerFit, measure_tokenizer_fit
from stillhouse.params import OneTeacher

logger = logging.getLogger(__name__)

Encoder = tuple[Callable[[str], list[int]], int | None]


def warn_about_language(settings: OneTeacher, texts: Dataset) -> None:
    """Log how the teacher's tokenizer splits the column ``text``, and a warning if the language looks unknown to it."""
    if found := check_language(settings, texts):
        logger.info("the teacher's tokenizer on these texts: %s", found)
        if found.is_doubtful:
            logger.warning("%s", language_warning(settings, found))


def check_language(settings: OneTeacher, texts: Dataset) -> TokenizerFit | None:
    """Measure how the teacher's tokenizer splits the column ``text``; None if the tokenizer cannot be loaded."""
    rows = range(0, len(texts), max(1, len(texts) // SAMPLE))
    try:
        return measure_tokenizer_fit(texts.select(rows)["text"][:], *teacher_encoder(settings))
    except Exception as error:  # the teacher stage reports a faulty checkpoint
        logger.info("the teacher's tokenizer was not checked (%s)", " ".join(str(error).split())[:120])
        return None


def language_warning(settings: OneTeacher, found: TokenizerFit) -> str:
    """Return the warning, with advice."""
    return (
        f"the teacher ({settings.model}) probably does not know the language of these texts: {found}. Its "
        "predictions may be worse than those of a bag of words. Set teacher.model to a model of that language, or a "
        "multilingual one"
    )


def teacher_encoder(settings: OneTeacher) -> Encoder:
    """Return the teacher's function from text to token ids, without special tokens, and the id of the unknown token.

    ``tokenizer.json`` is read without transformers if it exists, which saves a second.
    """
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
