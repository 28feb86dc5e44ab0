"""``stillhouse export --to hub``: what arrives is the model with its card, as one commit; nothing else is sent."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import _http
from material import tiny_model
from project import ROOT
from test_model_card import card_of

from flows import export
from stillhouse.evaluation.model_card import CARD
from stillhouse.serving import Classifier

TOKEN, REPO = "hf_abcdefghijklmnop", "my-team/news-topics"
SECRET = "signed-0123456789"
FILES = ["README.md", "chunks.json", "config.json", "model.onnx", "tokenizer.json"]


class Hub(ThreadingHTTPServer):
    """The hub's API for models, as far as an upload calls it.

    Attributes:
        repos: the visibility of each repository.
        files: the committed files of each repository.
        commits: number of commits.
        faults: status by path that the next requests get; 0 closes the connection.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.repos, self.files, self.stored, self.faults = {}, {}, {}, {}
        self.commits, self.calls = 0, Counter()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, content, status=200):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_request(self):
        path, hub = self.path.partition("?")[0], self.server
        # The library streams a large file, so it has no Content-Length.
        body = (
            self.rfile.read(int(self.headers["Content-Length"])) if "Content-Length" in self.headers else self.chunks()
        )
        hub.calls[path.rsplit("/", 1)[-1]] += 1
        fault = next((status for part, status in hub.faults.items() if part in path), None)
        if fault == 0:
            self.close_connection = True
            return None
        if fault:
            return self.answer({"error": f"no {TOKEN}"}, fault)
        if path.startswith("/store/"):  # the address of the store is signed; it gets no token
            assert "Authorization" not in self.headers
            hub.stored[path.removeprefix("/store/")] = body
            return self.answer({})
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return self.answer({"error": "Invalid credentials"}, 401)
        return self.api(path, body if path.endswith("/commit/main") else json.loads(body or "null"))

    do_GET = do_POST = do_PUT = handle_request

    def chunks(self):
        parts = []
        while self.headers.get("Transfer-Encoding") == "chunked" and (size := int(self.rfile.readline(), 16)):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        return b"".join(parts)

    def api(self, path, body):
        hub = self.server
        if path == "/api/repos/create":
            repo = f"{body['organization']}/{body['name']}"
            status = 409 if repo in hub.repos else 200
            hub.repos.setdefault(repo, body["visibility"])
            return self.answer({"url": f"{hub.url}/{repo}"}, status)
        if path == "/api/validate-yaml":
            return self.answer({"warnings": [], "errors": []})
        repo = "/".join(path.removeprefix("/api/models").strip("/").split("/")[:2]).removesuffix(".git")
        files = hub.files.setdefault(repo, {})
        if repo not in hub.repos:
            return self.answer({"error": "Repository not found"}, 404)
        if path == f"/api/models/{repo}":
            siblings = [{"rfilename": name} for name in files]
            return self.answer({"id": repo, "private": hub.repos[repo] == "private", "siblings": siblings})
        if path == f"/api/models/{repo}/preupload/main":
            large = [{"path": one["path"], "shouldIgnore": False} for one in body["files"]]
            return self.answer(
                {"files": [one | {"uploadMode": "lfs" if ".onnx" in one["path"] else "regular"} for one in large]}
            )
        if path == f"/{repo}.git/info/lfs/objects/batch":
            objects = [
                one | {"actions": {"upload": {"href": f"{hub.url}/store/{one['oid']}?X-Signature={SECRET}"}}}
                for one in body["objects"]
            ]
            return self.answer({"transfer": "basic", "objects": objects})
        if path == f"/api/models/{repo}/commit/main":
            self.commit(files, [json.loads(line) for line in body.splitlines()])
            hub.commits += 1
            return self.answer({"commitUrl": f"{hub.url}/{repo}/commit/1", "commitOid": "1" * 40})
        return self.answer({"error": f"no such path {path}"}, 404)

    def commit(self, files, lines):
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.stored[value["oid"]]
                assert hashlib.sha256(files[value["path"]]).hexdigest() == value["oid"]
            elif line["key"] == "deletedFile":
                del files[value["path"]]


@contextmanager
def running():
    hub = Hub()
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with running() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # its storage has a protocol of its own
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-login"))
        monkeypatch.setattr(_http.time, "sleep", lambda _: None)  # between the attempts
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield hub


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("registered")
    card, _ = card_of(tiny_model(folder / "compressed"), folder, ["cooking", "sport", "weather"])
    (card.parent / "train.csv").write_text("a private text,sport\n")
    return card.parent


def push(model, repo=REPO, public=False):
    export.main(str(model), repo, "hub", public=public, push=True)


def refused(*arguments, **options):
    with pytest.raises(SystemExit) as ending:
        push(*arguments, **options)
    message = str(ending.value)
    assert ending.value.code not in (0, None) and "Traceback" not in message
    assert TOKEN not in message and SECRET not in message
    return message


def test_without_push_the_files_are_listed_and_nothing_is_sent(hub, model, capsys):
    export.main(str(model), REPO, "hub", public=True)
    output = capsys.readouterr().out
    assert f"5 files for {hub.url}/{REPO} (public)" in output and "not pushed: train.csv" in output
    for name in FILES:
        assert f"{(model / name).stat().st_size:,} bytes  {name}\n" in output
    assert output.endswith(f"stillhouse export {model} {REPO} --to hub --public --push\n") and TOKEN not in output
    assert not hub.calls


def test_what_arrives_is_the_model_with_its_card_as_one_commit(hub, model, tmp_path, capsys):
    push(model)
    assert hub.repos == {REPO: "private"} and hub.commits == 1
    assert hub.files[REPO] == {name: (model / name).read_bytes() for name in FILES}
    for name, content in hub.files[REPO].items():
        (tmp_path / name).write_bytes(content)
    assert Classifier.load(tmp_path).predict(["rain"]) == Classifier.load(model).predict(["rain"])
    assert TOKEN not in "".join(capsys.readouterr())


def test_a_new_version_replaces_the_earlier_one(hub, model):
    push(model)
    hub.files[REPO] |= {"tables.npz": b"of an earlier version", "NOTES.md": b"of a person"}
    push(model)
    assert hub.commits == 2
    assert set(hub.files[REPO]) == {*FILES, "NOTES.md"}


def test_a_private_model_is_never_pushed_to_a_public_repository(hub, model):
    hub.repos[REPO] = "public"
    assert "exists and is public" in refused(model)
    assert not hub.files[REPO]
    push(model, public=True)
    assert set(hub.files[REPO]) == {*FILES}
    hub.repos[REPO] = "private"
    assert "exists and is private" in refused(model, public=True)


@pytest.mark.parametrize("repo", ["topics", "a/b/c", "me/-x", "me/a b", "me/a--b", "me/x.git", "/x", "me/", ""])
def test_a_wrong_name_is_refused_before_anything_is_sent(hub, model, repo):
    assert "is not the name of a repository" in refused(model, repo) and not hub.calls


def test_without_a_token_the_message_names_both_ways_to_set_one(hub, model, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    message = refused(model)
    assert "HF_TOKEN" in message and "hf auth login" in message and not hub.calls


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("create", 401, "does not accept the token"),
        ("create", 403, "may not write to my-team/news-topics"),
        ("create", 400, "refuses my-team/news-topics"),
        ("create", 503, "cannot be reached"),
        ("create", 0, "cannot be reached"),
        ("preupload", 403, "may not write to"),
        ("store", 0, "was interrupted"),
        ("store", 500, "was interrupted"),
        ("batch", 503, "was interrupted"),
        ("commit", 0, "was interrupted"),
    ],
)
def test_a_failure_publishes_no_file_and_the_same_command_goes_on(hub, model, path, status, message, capsys):
    hub.faults[path] = status
    assert message in refused(model) and hub.commits == 0
    assert TOKEN not in (shown := "".join(capsys.readouterr())) and SECRET not in shown
    hub.faults.clear()
    push(model)
    assert set(hub.files[REPO]) == {*FILES}


def test_a_model_without_a_card_or_with_a_broken_one_is_not_pushed(hub, model, tmp_path):
    broken = tmp_path / "model"
    broken.mkdir()
    for name in FILES:
        (broken / name).write_bytes((model / name).read_bytes())
    text = (model / CARD).read_text()
    for change in (text.replace("model-index:", "model-index: ["), text.replace("- name:", "- nom:"), "# Topics"):
        (broken / CARD).write_text(change)
        assert "front matter" in refused(broken)
    (broken / CARD).unlink()
    message = refused(broken)
    assert "has no model card" in message and "outputs/register/model" in message and not hub.calls


def test_options_of_the_other_target_are_refused(model, tmp_path):
    for options, message in (({"to": "hub", "force": True}, "--force"), ({"to": "docker", "push": True}, "--push")):
        with pytest.raises(SystemExit, match=message):
            export.main(str(model), str(tmp_path / "x"), **options)


def test_the_environment_selects_the_hub_and_offline_mode_is_named(model, tmp_path):
    words = [sys.executable, "-m", "flows.export", str(model), REPO, "--to", "hub", "--push"]
    variables = {**os.environ, "HF_TOKEN": TOKEN, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1"}
    with running() as hub:
        variables["HF_ENDPOINT"] = hub.url
        offline = {"HF_HUB_OFFLINE": "1"}
        done = subprocess.run(words, cwd=ROOT, env=variables | offline, capture_output=True, text=True, timeout=120)
        assert done.returncode == 1 and "HF_HUB_OFFLINE is set" in done.stderr and not hub.calls
        online = {"HF_HUB_OFFLINE": "0"}
        done = subprocess.run(words, cwd=ROOT, env=variables | online, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert f"Pushed: {hub.url}/{REPO}" in done.stdout and set(hub.files[REPO]) == {*FILES}
    assert TOKEN not in done.stdout + done.stderr and "Traceback" not in done.stderr
