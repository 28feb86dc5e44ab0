"""Passwords in addresses are shown to nobody."""

import pytest

from stillhouse.secrets import masked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://alice:hush@host:5000/x", "http://alice:***@host:5000/x"),
        (
            "see postgresql://u:p%40ss@db/mlflow and s3://bucket/a:b@c",
            "see postgresql://u:***@db/mlflow and s3://bucket/a:b@c",
        ),
        ("http://host:5000/a@b", "http://host:5000/a@b"),
        ("sqlite:////work/mlflow.db, 12:30@noon", "sqlite:////work/mlflow.db, 12:30@noon"),
    ],
)
def test_a_password_is_masked_and_nothing_else(text, shown):
    assert masked(text) == shown
