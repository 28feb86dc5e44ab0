"""Checks whether a teacher's tokenizer suits the language of the texts."""

import pytest
from datasets import Dataset
from project import ROOT
from scripts import corpus

from stillhouse.data.language import check_language, warn_about_language
from stillhouse.data.sample import sample_texts
from stillhouse.data.tokenizer_fit import measure_tokenizer_fit
from stillhouse.params import load_params

SETTINGS = load_params(ROOT / "params.yaml").teacher
GERMAN = "Die Bundesregierung hat am Mittwoch einen Gesetzentwurf zur Förderung der Windkraft beschlossen"


def test_an_english_teacher_knows_english_and_is_doubted_on_other_languages(caplog):
    found = check_language(SETTINGS, Dataset.from_dict({"text": sample_texts()[0][:50]}))
    assert not found.is_doubtful and 1.0 < found.tokens_per_word < 1.3 and found.characters_per_token is None
    for texts in ([GERMAN], *(corpus(name)[0] for name in ("Chinese", "Thai", "Arabic", "emoji"))):
        assert check_language(SETTINGS, Dataset.from_dict({"text": texts})).is_doubtful, texts[0]
    warn_about_language(SETTINGS, Dataset.from_dict({"text": [GERMAN]}))
    assert "(sample) probably does not know the language of these texts" in caplog.text


def test_a_teacher_that_cannot_be_looked_at_stops_nothing(tmp_path):
    settings = SETTINGS.model_copy(update={"model": str(tmp_path / "none")})
    assert check_language(settings, Dataset.from_dict({"text": ["a text"]})) is None
    assert not check_language(SETTINGS, Dataset.from_dict({"text": ["1"]})).is_doubtful


@pytest.mark.parametrize(("encode", "doubtful"), [(list, False), (lambda text: list(text.encode()), True)])
def test_characters_are_usual_tokens_of_chinese_and_bytes_are_not(encode, doubtful):
    assert measure_tokenizer_fit(corpus("Chinese")[0], encode, None).is_doubtful is doubtful
