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


def test_what_the_environment_calls_a_secret_is_masked(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_abcdef123")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7")
    monkeypatch.setenv("DB_PASSWORD", "abc")  # so short that any text has it
    assert masked("hf_abcdef123 wJalrXUtnFEMI AKIAIOSFODNN7 abc") == "*** *** AKIAIOSFODNN7 abc"


PLANTED = {
    "AWS_SECRET_ACCESS_KEY": "planted-aws-secret",
    "HF_TOKEN": "hf_planted-token",
    "MLFLOW_TRACKING_PASSWORD": "planted-password",
    "NOTIFY": "http://127.0.0.1:9/planted-hook",
}


def test_secrets_are_found_nowhere_after_a_good_run_and_a_failed_one(project):
    project.set(flow__notify="$NOTIFY", register__margin=0.01)
    good = project.flow(**PLANTED)
    assert good.returncode == 0, good.stdout
    (project.folder / "data" / "reviews.csv").write_text("review,topic\nplanted-aws-secret,hf_planted-token,1\n")
    failed = project.flow(**PLANTED)
    assert failed.returncode == 1 and "row 2 has 3 fields" in failed.stdout, failed.stdout
    assert [value for value in PLANTED.values() if value in good.stdout + failed.stdout] == []
    (project.folder / "data" / "reviews.csv").unlink()  # it was planted there, to stand in a message
    files = [file for file in project.folder.rglob("*") if file.is_file()]
    assert [str(file) for file in files for value in PLANTED.values() if value.encode() in file.read_bytes()] == []
