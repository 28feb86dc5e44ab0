"""Passwords in addresses are shown to nobody."""

import pytest
from project import ROOT
from test_end_to_end import ran
from test_notify import hook
from test_user_mistakes import outputs

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
    assert before.model_dump(exclude={"flow", "study", "scale"}) == after.model_dump(exclude={"flow", "study", "scale"})


PLANTED = {
    "AWS_SECRET_ACCESS_KEY": "planted-aws-secret",
    "HF_TOKEN": "hf_planted-token",
    "MLFLOW_TRACKING_PASSWORD": "planted-password",
}


def test_a_refused_gate_and_a_failed_run_are_told_and_secrets_are_found_nowhere(project):
    literal = "https://127.0.0.1:9/literal-hook"  # where no server listens
    project.mlflow("client.delete_registered_model('topics')")
    project.set(flow__notify="$NOTIFY", flow__heartbeat=literal, register__max_size_mb=0.001)
    reviews, lock = project.folder / "data" / "reviews.csv", project.folder / "dvc.lock"
    with hook() as (address, got):
        planted = {**PLANTED, "NOTIFY": f"{address}/planted-hook"}
        good = project.flow(**planted)
        assert good.returncode == 0 and ran(good.stdout) == ["register"], good.stdout
        assert "topics version 1 did not pass its gate; the champion is unchanged" in got[-1]["text"] and len(got) == 1
        before, locked = outputs(project), lock.read_bytes()
        reviews.write_text("review,topic\nplanted-aws-secret,hf_planted-token,1\n")
        failed = project.flow(**planted)
    # The last line is the stage's own message, and what was there before is still there.
    last = [line for line in failed.stdout.strip().splitlines() if "temporary server" not in line][-1]
    assert failed.returncode == 1 and "Traceback" not in failed.stdout, failed.stdout
    assert last.startswith("prepare failed: ") and "row 2 has 3 fields" in last, failed.stdout
    assert len(got) == 2 and "failed: " in got[-1]["text"] and "row 2 has 3 fields" in got[-1]["text"]
    assert outputs(project) == before and lock.read_bytes() == locked
    project.set(flow__heartbeat=None)  # it stands in params.yaml, and may
    reviews.unlink()  # it was planted there, to stand in a message
    values = [*PLANTED.values(), "planted-hook", "literal-hook"]
    assert [value for value in values if value in good.stdout + failed.stdout + str(got)] == []
    files = [file for file in project.folder.rglob("*") if file.is_file()]
    assert [str(file) for file in files for value in values if value.encode() in file.read_bytes()] == []
