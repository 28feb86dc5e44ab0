"""The requests to a language model, and the meaning of its answers: codes, prompts, and probabilities of the classes."""

import math
from collections import Counter

import pytest
from test_language_model import CLASSES, NAMES

from stillhouse.errors import BadInput
from stillhouse.labelling.language_model.answers import read_logprobs, read_single, read_votes
from stillhouse.labelling.language_model.codes import codes_for
from stillhouse.labelling.language_model.prompt import load_prompt
from stillhouse.labelling.language_model.similar import most_similar
from stillhouse.labelling.language_model.tokens import cut_middle, likely_tokens

CODES = ["A", "B", "C"]


@pytest.mark.parametrize(
    ("content", "index"),
    [
        ("B", 1),
        (" b\n", 1),
        ("**B**", 1),
        ("(B)", 1),
        ("B.", 1),
        ("sports", 1),
        ("Sports", 1),
        ("B: sports", 1),
        ("B - Sports.", 1),
        ("B\n\nBecause it is about a game", 1),
        ("<think>A or B?</think>\nB", 1),
        ('{"label": "B"}', 1),
        ('{"label": "tech"}', 2),
        ("", None),
        (None, None),
        ("...", None),
        ("A text about sports", None),
        ("A: sports", None),
        ("D", None),
        ("A or B", None),
        ("The answer is B", None),
        ("I cannot help with that", None),
        ('{"label": "B', None),
        ('{"label": ["B"]}', None),
        ('{"class": "B"}', None),
        ("sport", None),
    ],
)
def test_a_single_answer_names_a_class_exactly_or_is_unusable(content, index):
    assert read_single({"content": content}, CODES, NAMES) == index


def test_votes_are_shares_of_the_usable_answers():
    contents = ["A", "A", "B", "no idea", ""]
    shares = read_votes([{"content": content} for content in contents], CODES, NAMES)
    assert shares == pytest.approx([2 / 3, 1 / 3, 0])
    assert read_votes([{"content": "no idea"}], CODES, NAMES) is None


def logprobs(*places, content=""):
    """An answer whose tokens are mappings from likely tokens to probabilities; the first of each is the answer."""
    tokens = [{"token": next(iter(top)), "top": [[t, math.log(p)] for t, p in top.items()]} for top in places]
    return {"content": content or "".join(token["token"] for token in tokens), "tokens": tokens}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (logprobs({"B": 0.6, "A": 0.2, "x": 0.2}), [0.25, 0.75, 0]),  # C is not among the likely tokens
        (logprobs({"B": 0.6, "A": 0.2, "x": 0.1}), [0.2 / 0.9, 0.6 / 0.9, 0.1 / 0.9]),  # C has 0.1 at most
        (logprobs({"B": 0.6, "A": 0.1, "x": 0.05}), [0.1 / 0.75, 0.6 / 0.75, 0.05 / 0.75]),  # C: not above x
        (logprobs({" B": 0.35, "B": 0.25, "b": 0.15, "▁A": 0.1, "ĠA": 0.1, " a": 0.05}), [0.25, 0.75, 0]),
        (logprobs({"\n": 1.0}, {"**": 1.0}, {"C": 0.5, "A": 0.5}), [0.5, 0, 0.5]),
        (logprobs({"<think>": 1.0}, {"A": 1.0}, {"</think>": 1.0}, {"B": 1.0}), [0, 1, 0]),
        (logprobs({"sports": 0.98, "B": 0.01}), [0, 1, 0]),  # the text names a class exactly
        (logprobs({"The": 0.96, "A": 0.02}, content="The text"), None),
        (logprobs({"": 1.0}), None),
        (logprobs(), None),
        ({"content": "A"}, [1, 0, 0]),
    ],
)
def test_log_probabilities_are_normalised_over_the_codes(answer, expected):
    found = read_logprobs(answer, CODES, NAMES)
    assert (found is None) if expected is None else (found == pytest.approx(expected))


def test_codes_of_two_tokens_share_the_probability_of_their_first_token():
    codes, names = ["AA", "AB", "BA", "BB"], list("wxyz")
    one_token = logprobs({"AB": 0.6, "BA": 0.2, "AA": 0.2})
    assert read_logprobs(one_token, codes, names) == pytest.approx([0.2, 0.6, 0.2, 0])
    two_tokens = logprobs({"A": 0.8, "B": 0.2}, {"B": 0.75, "A": 0.25})
    assert read_logprobs(two_tokens, codes, names) == pytest.approx([0.2, 0.6, 0.1, 0.1])


@pytest.mark.parametrize("count", [2, 26, 27, 52, 150, 676, 700])
def test_every_class_has_a_code_of_its_own(count):
    codes = codes_for([f"class {i}" for i in range(count)])
    assert len({*codes}) == count and len({len(code) for code in codes}) == 1
    assert max(Counter(code[0] for code in codes).values()) <= -(-count // 26)


def test_a_name_that_is_a_code_has_that_code():
    assert codes_for(["C", "dog", "A"]) == ["C", "B", "A"]
    assert codes_for(["b", "a", "x"]) == ["B", "A", "C"]  # an answer is read without regard to case
    assert codes_for(["B", "b", "x"]) == ["B", "A", "C"]


# The prompt

LOOP = "{% for class in classes %}{{ class.code }}={{ class.name }}\n{% endfor %}"


def template(tmp_path, text):
    (tmp_path / "prompt.jinja").write_text(text)
    return load_prompt(CLASSES, str(tmp_path / "prompt.jinja"), 8192, 8)


def test_a_template_of_the_users(tmp_path):
    prompt = template(tmp_path, "{# mine #}" + LOOP + "---\n{{ text }}")
    assert prompt.render("{{ text }}")[0] == "A=business\nB=sports\nC=tech\n---\n{{ text }}"


def test_the_default_prompt_begins_alike_for_all_texts_and_has_every_description():
    prompt = load_prompt(CLASSES, None, 8192, 8)
    one, other = prompt.render("first")[0], prompt.render("second")[0]
    alike = next(i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    assert one[alike:] == "first\n</text>\nCode:"
    assert "A: business - companies and markets\nB: sports\nC: tech - devices" in one[:alike]
    shown = prompt.render("first", [("a shot", "sports")])[0]
    assert shown.index("a shot\n</text>\nCode: B\n") < shown.index("first")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LOOP, "prompt.jinja must contain the text, {{ text }} .for class"),
        ("{{ text }}", "must contain each class's code, {{ class.code }}, each class's name"),
        (LOOP + "\n\n{{ texts }}", "prompt.jinja, line 4: 'texts' is undefined. It can use text, classes"),
        (LOOP + "{{ text }}\n{% if %}", "prompt.jinja, line 3: Expected an expression"),
        (LOOP + "{{ text }}\n\n{{ text.split(3) }}", "prompt.jinja, line 4: must be str or None, not int"),
        (LOOP + "{{ text }}{{ text.__class__.__mro__ }}", "prompt.jinja, line 2: access to attribute '__class__'"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_with_its_line(text, message, tmp_path):
    with pytest.raises(BadInput, match=message.replace("{", "[{]").replace("}", "[}]")):
        template(tmp_path, text)


def test_a_missing_template_and_one_that_is_too_long_are_refused():
    with pytest.raises(BadInput, match="none.jinja cannot be read .No such file"):
        load_prompt(CLASSES, "none.jinja", 8192, 8)
    with pytest.raises(BadInput, match="label.context is 100"):
        load_prompt(CLASSES, None, 100, 8)


@pytest.mark.parametrize("text", ["word " * 1000, "漢字" * 2000, "1.2,3;" * 900, "é" * 999, "x"])
def test_a_cut_text_has_the_size_that_is_wanted(text):
    for room in (0, 10, 100, 100_000):
        shorter, cut = cut_middle(text, room)
        assert likely_tokens(shorter) <= room and cut == (shorter != text)
        assert not cut or room < 20 or likely_tokens(shorter) > 0.7 * room


def test_the_most_similar_examples_are_shown_and_never_the_text_itself():
    examples = [("the goal of the match", "sports"), ("a new phone", "tech"), ("shares fell", "business")]
    shown = list(most_similar(["a match and a goal", "a new phone"], examples, 2))
    assert shown[0][-1] == examples[0] and len(shown[0]) == 2
    assert examples[1] not in shown[1] and len(shown[1]) == 2
    assert list(most_similar(["x"], [], 3)) == [[]] and list(most_similar(["x"], [("", "tech")], 1)) == [[("", "tech")]]
