"""Behaviours that a user asks of the student: what the file may say, and what the gate makes of it."""

import logging

import numpy as np
import pytest

from stillhouse.errors import BadInput
from stillhouse.evaluation.cases import behaviours, passed_share, read_cases

HEADING = "text,label,same_as\n"


@pytest.fixture
def cases(tmp_path):
    def written(text: str):
        (tmp_path / "cases.csv").write_bytes(text.encode("latin-1"))
        return read_cases(tmp_path / "cases.csv", ["bad", "good"])

    return written


def predict(texts):
    return np.array(["good" if "fine" in text else "bad" for text in texts])


def test_a_text_must_be_answered_with_its_label_or_as_another_text_is(cases):
    shown = behaviours(cases(HEADING + 'fine,good,\nawful,good,\nso fine,,fine\n"FINE, really",,fine\n'), predict)
    assert [(one.answer, one.expected, one.passed) for one in shown] == [
        ("good", "good", True),
        ("bad", "good", False),
        ("good", "good", True),
        ("bad", "good", False),
    ]
    assert passed_share(shown) == 0.5


def test_no_cases_are_all_kept(cases):
    assert passed_share(behaviours(cases(HEADING), predict)) == 1.0


def test_cases_for_labels_that_the_data_lacks_are_not_checked_and_are_counted(cases, caplog):
    with caplog.at_level(logging.WARNING):
        assert [case.text for case in cases(HEADING + "a,sports,\nb,good,\n")] == ["b"]
    assert "1 cases of" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("text,label\na,good\n", "has no column same_as"),
        ("", "has no column text, label, same_as"),
        (HEADING + "a,good,\nb,good,c\n", "line 3: a case has a text, and either"),
        (HEADING + "a,,\n", "line 2: a case has a text, and either"),
        (HEADING + ",good,\n", "line 2: a case has a text, and either"),
        (HEADING + "caf\xe9,good,\n", "is not UTF-8"),
    ],
)
def test_a_file_of_cases_that_cannot_be_read_is_refused_with_its_line(cases, text, message):
    with pytest.raises(BadInput, match=message):
        cases(text)


def test_a_missing_file_of_cases_is_named(tmp_path):
    with pytest.raises(BadInput, match="evaluate.cases"):
        read_cases(tmp_path / "none.csv")
