"""What a run has to say, on disk before it is sent: an outage of the tracking store loses none of it.

A journal is a folder with a line for each thing said, and the files that belong to it. What MLflow has taken is noted
beside it, and when it has all, the folder goes. A file lock says whether the process that writes is still there, also
after a restart and in another container.
"""

import json
import logging
import os
import shutil
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from mlflow.data.dataset_source_registry import get_dataset_source_from_json
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from stillhouse.secrets import masked
from stillhouse.tracking.store import BRIEFLY, connect, environment, is_refusal, tracking_uri

HOME = "STILLHOUSE_JOURNALS"  # set for the children of a run: all journals of a flow lie together
JOURNAL_TAG = "stillhouse.journal"
QUIET_S = 30.0  # after which a store that did not answer is asked again
logger = logging.getLogger(__name__)
_complained: set[str] = set()


class Journal:
    """The journal in ``folder``, held by this process until it is closed."""

    def __init__(self, folder: Path, lock: FileLock) -> None:
        self._folder, self._lock = folder, lock
        self._lines, self._taken, self._files = folder / "said.jsonl", folder / "taken.json", folder / "files"
        self._one_at_a_time = threading.RLock()
        self._not_before = 0.0

    @classmethod
    def begin(cls, experiment: str, name: str, tags: dict[str, str]) -> "Journal":
        """A new one, of a run that starts now."""
        folder = home() / uuid.uuid4().hex
        folder.parent.mkdir(parents=True, exist_ok=True)
        journal = cls(folder, FileLock(f"{folder}.lock", thread_local=False))
        journal._lock.acquire()  # before others can see the folder, and take it for a dead process's
        folder.mkdir()
        journal.say("create", experiment=experiment, name=name, tags={**tags, JOURNAL_TAG: folder.name}, store=_store())
        return journal

    def say(self, what: str, **content: Any) -> None:
        """Write down one thing (a method of :class:`_Sender` takes it), then try to send it."""
        with self._one_at_a_time:
            if what == "artifact":
                copy = self._files / str(len(list(self._files.glob("*")))) / Path(content["path"]).name
                copy.parent.mkdir(parents=True)
                shutil.copy(content["path"], copy)
                content["path"] = str(copy)
            with self._lines.open("ab") as file:
                file.write(json.dumps({"what": what, "time": int(time.time() * 1000), **content}).encode() + b"\n")
            if time.monotonic() >= self._not_before:
                self.send()

    @property
    def run_id(self) -> str | None:
        """MLflow's name of the run, once it has heard of it."""
        taken: str | None = self._state()["run"]
        return taken

    @property
    def gave_up(self) -> bool:
        """Whether the store did not answer the last time it was asked."""
        return self._not_before > 0

    def send(self) -> bool:
        """Send what MLflow has not taken yet; whether it has all now."""
        with self._one_at_a_time, environment(BRIEFLY):
            try:
                for line, end in self._left():
                    self._take(json.loads(line), end)
                self._not_before = 0.0
                return True
            except Exception as error:  # each kind of store has errors of its own
                self._not_before = time.monotonic() + QUIET_S
                if (told := tracking_uri()) not in _complained:
                    _complained.add(told)
                    logger.warning(
                        "MLflow (%s) does not answer: %s. What there is to track waits in %s until it does.",
                        masked(told),
                        masked(" ".join(str(error).split()))[:200],
                        self._folder.parent,
                    )
                return False

    def close(self, status: str, ended: int | None = None) -> bool:
        """Say that the run ended, and let go; whether MLflow has all."""
        with self._one_at_a_time:
            self._not_before = float("inf")
            self.say("end", status=status, ended=ended or int(time.time() * 1000))
            return self._let_go()

    def close_for_the_dead(self) -> bool:
        """As :meth:`close`, where its process did not live to say so; false, too, where it is another store's."""
        text = self._lines.read_bytes() if self._lines.exists() else b""
        whole = text[: text.rfind(b"\n") + 1]  # a crash may have cut the last line short
        said = [json.loads(line) for line in whole.splitlines()]
        if said and said[0]["store"] != _store():
            self._lock.release()
            return False
        if not said:
            shutil.rmtree(self._folder)
            self._lock.release()
            return True
        self._lines.write_bytes(whole)
        if said[-1]["what"] == "end":
            return self._let_go()
        return self.close("KILLED", said[-1]["time"])

    def _let_go(self) -> bool:
        sent = self.send()
        if sent:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._lock.release()
        if sent:
            Path(self._lock.lock_file).unlink(missing_ok=True)
        return sent

    def _left(self) -> list[tuple[bytes, int]]:
        """Lines that are still to be sent, each with where it ends."""
        end, found = self._state()["to"], []
        with self._lines.open("rb") as file:
            file.seek(end)
            for line in file:
                end += len(line)
                found.append((line, end))
        return found

    def _take(self, said: dict[str, Any], end: int) -> None:
        state = self._state()
        sender = _Sender(MlflowClient(tracking_uri()), state["run"])
        try:
            if said["what"] == "create":
                asked = state["asked"]
                self._note({**state, "asked": True})  # so that a crash in between makes no second run
                state["run"] = sender.create(self._folder.name if asked else "", said)
            else:
                getattr(sender, said["what"])(said)
        except MlflowException as error:
            if not is_refusal(error):
                raise
            logger.warning("MLflow did not take %s: %s", said["what"], masked(str(error))[:300])
        self._note({**state, "to": end})

    def _state(self) -> dict[str, Any]:
        try:
            state: dict[str, Any] = json.loads(self._taken.read_text(encoding="utf-8"))
            return state
        except (OSError, ValueError):
            return {"run": None, "asked": False, "to": 0}

    def _note(self, state: dict[str, Any]) -> None:
        partial = self._taken.with_suffix(".partial")
        partial.write_text(json.dumps(state), encoding="utf-8")
        partial.replace(self._taken)


class _Sender:
    """One method for each thing that a journal may say."""

    def __init__(self, client: MlflowClient, run_id: str | None) -> None:
        self._client, self._run = client, run_id or ""

    def create(self, asked_before: str, said: dict[str, Any]) -> str:
        experiment = connect(said["experiment"])
        if asked_before:
            found = self._client.search_runs([experiment], f"tags.`{JOURNAL_TAG}` = '{asked_before}'", max_results=1)
            if found:
                return str(found[0].info.run_id)
        made = self._client.create_run(experiment, said["time"], said["tags"], said["name"])
        return str(made.info.run_id)

    def params(self, said: dict[str, Any]) -> None:
        values = [Param(name, value) for name, value in said["values"].items()]
        for start in range(0, len(values), 100):  # a server takes 100 at a time
            self._client.log_batch(self._run, params=values[start : start + 100])

    def metrics(self, said: dict[str, Any]) -> None:
        points = [Metric(name, value, said["time"], step) for name, value, step in said["points"]]
        for start in range(0, len(points), 1000):  # and 1,000 of these
            self._client.log_batch(self._run, metrics=points[start : start + 1000])

    def tags(self, said: dict[str, Any]) -> None:
        self._client.log_batch(self._run, tags=[RunTag(name, value) for name, value in said["values"].items()])

    def artifact(self, said: dict[str, Any]) -> None:
        self._client.log_artifact(self._run, said["path"], said["folder"])

    def dataset(self, said: dict[str, Any]) -> None:
        source = get_dataset_source_from_json(json.dumps({"uri": said["uri"]}), "local")
        dataset = MetaDataset(source, name=said["name"], digest=said["digest"])._to_mlflow_entity()
        self._client.log_inputs(self._run, [DatasetInput(dataset, [InputTag("mlflow.data.context", said["context"])])])

    def end(self, said: dict[str, Any]) -> None:
        self._client.set_terminated(self._run, said["status"], said["ended"])


def home() -> Path:
    """Where the journals are."""
    return Path(os.environ.get(HOME) or ".stillhouse/tracking").resolve()


def send_left() -> int:
    """Send what earlier runs of this project left, and end those whose process died; how many are still left."""
    folders, left = sorted(home().glob("*/")), 0
    for number, folder in enumerate(folders):
        lock = FileLock(f"{folder}.lock", thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:  # at work
            continue
        journal = Journal(folder, lock)
        if not journal.close_for_the_dead():
            left += 1
            if journal.gave_up:  # the others would wait for the same store, one after the other
                return left + len(folders) - number - 1
    return left


def _store() -> str:
    """Says whether it is still the same store, without the password."""
    return masked(tracking_uri())
