"""Passwords in addresses are shown to nobody."""

import pytest
from project import ROOT

from stillhouse.params import load_params
from stillhouse.secrets import masked, masked_target, shareable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://alice:hush@host:5000/x", "http://alice:***@host:5000/x"),
        (
            "see postgresql://u:p%40ss@db/mlflow and s3://bucket/a:b@c",
            "see postgresql://u:***@db/mlflow and s3://bucket/a:b@c",
        ),
        ("at http://h/x?page=2&access_token=hush&n=1", "at http://h/x?page=2&access_token=***&n=1"),
        ("https://s3/x?X-Amz-Signature=hush", "https://s3/x?X-Amz-Signature=***"),
        ("https://hooks.slack.com/services/T0/B0/hush, then", "https://hooks.slack.com/*** then"),
        ("https://discord.com/api/webhooks/1/hush", "https://discord.com/api/webhooks/***"),
        ("https://x.webhook.office.com/webhookb2/hush/y", "https://x.webhook.office.com/***"),
        ("https://api.telegram.org/bot1:hush/sendMessage", "https://api.telegram.org/***"),
        ("see https://docs.python.org/3/library?page=2", "see https://docs.python.org/3/library?page=2"),
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


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("https://hooks.slack.com/services/T0/B0/hush", "https://hooks.slack.com/***"),
        ("https://u:hush@chat.example.org/a/hush?key=hush", "https://chat.example.org/***"),
        ("HTTPS://chat.example.org/hush", "https://chat.example.org/***"),
        ("slack://hush@workspace", "slack://workspace/***"),
        ("curl -H 'Authorization: Bearer hush' https://h/x", "curl ***"),
        ("curl 'hush", "***"),
        ("notify-send", "notify-send"),
        ("$NOTIFY", "$NOTIFY"),
        ("${NOTIFY}", "${NOTIFY}"),
    ],
)
def test_of_a_messenger_the_host_or_the_program_is_shown_and_no_more(target, shown):
    assert masked_target(target) == shown


def test_uploaded_parameters_hold_no_secret_and_make_the_same_model(tmp_path):
    text = (ROOT / "params.yaml").read_text()
    assert shareable(text) == text
    written = text.replace("notify: null", "notify: https://hooks.slack.com/services/T0/hush")
    written = written.replace("heartbeat: null", "heartbeat: \"curl -H 'X: hush' https://h/x\"")
    written = written.replace("address: null", "address: tcp://u:hush@host:8786")
    (tmp_path / "params.yaml").write_text(shareable(written))
    assert "hush" not in shareable(written) and "https://hooks.slack.com/***" in shareable(written)
    before, after = load_params(ROOT / "params.yaml"), load_params(tmp_path / "params.yaml")
    assert before.model_dump(exclude={"flow", "study"}) == after.model_dump(exclude={"flow", "study"})


PLANTED = {
    "AWS_SECRET_ACCESS_KEY": "planted-aws-secret",
    "HF_TOKEN": "hf_planted-token",
    "MLFLOW_TRACKING_PASSWORD": "planted-password",
    "NOTIFY": "http://127.0.0.1:9/planted-hook",
}


def test_secrets_are_found_nowhere_after_a_good_run_and_a_failed_one(project):
    literal = "https://127.0.0.1:9/literal-hook"
    project.set(flow__notify="$NOTIFY", flow__heartbeat=literal, register__margin=0.01)
    good = project.flow(**PLANTED)
    assert good.returncode == 0, good.stdout
    (project.folder / "data" / "reviews.csv").write_text("review,topic\nplanted-aws-secret,hf_planted-token,1\n")
    failed = project.flow(**PLANTED)
    assert failed.returncode == 1 and "row 2 has 3 fields" in failed.stdout, failed.stdout
    project.set(flow__heartbeat=None)  # it stands in params.yaml, and may
    assert [value for value in [*PLANTED.values(), "literal-hook"] if value in good.stdout + failed.stdout] == []
    (project.folder / "data" / "reviews.csv").unlink()  # it was planted there, to stand in a message
    files = [file for file in project.folder.rglob("*") if file.is_file()]
    assert [
        str(file)
        for file in files
        for value in [*PLANTED.values(), "literal-hook"]
        if value.encode() in file.read_bytes()
    ] == []
