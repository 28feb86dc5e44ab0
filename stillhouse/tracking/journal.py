"""Journals: a write-ahead log of the calls of MLflow, so that an outage of the tracking store loses no metric.

The journal of a run is a folder. ``entries.jsonl`` has a line for each entry, ``files`` the copies of artifacts, and
``state.json`` the position up to which the entries were sent. After the last entry was sent, the folder is deleted. A
file lock shows whether the writing process is alive, also after a restart and in another container. A second lock is
held by the process that sends entries at the moment.

The stages of a flow only write their journals, and the flow sends them: loading MLflow takes seconds, and a stage does
so only if it needs MLflow itself. A stage that DVC alone started sends its own journal.

No failure here ends the stage or flow that is tracked. A line that cannot be read or sent is logged and skipped. If the
disk is full, entries stay in memory. The journal of a process that died is sent by the next process.
"""

import json
import logging
import os
import shutil
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from stillhouse.files import replacing
from stillhouse.secrets import masked
from stillhouse.tracking.address import tracking_uri
from stillhouse.tracking.environment import SHORT_TIMEOUTS, environment
from stillhouse.tracking.lines import Entry, Lines, parsed

HOME = "STILLHOUSE_JOURNALS"  # a flow sets it for its stages, so that all its journals are in one folder
DELEGATED = "STILLHOUSE_DELEGATED"  # a flow sets it for its stages, since it sends their journals
JOURNAL_TAG = "stillhouse.journal"
RETRY_AFTER_S = 30.0  # pause after a store did not answer
SENDING_S = 60.0  # longest wait for another process that sends entries of the same journal
_one_thread = threading.RLock()  # one thread sends at a time: MLflow reads its time limits from the environment
logger = logging.getLogger(__name__)
_warned: set[str] = set()


class Journal:
    """The journal in ``folder``.

    The process that writes it holds ``lock`` until it is closed. If it is ``delegated``, another process sends the
    entries; :meth:`send` does so at once.
    """

    def __init__(self, folder: Path, lock: FileLock, delegated: bool = False) -> None:
        self._folder, self._lock, self._delegated = folder, lock, delegated
        self._sending = FileLock(folder / "sending.lock", SENDING_S, thread_local=False)
        self._lines, self._files = Lines(folder / "entries.jsonl"), folder / "files"
        self._state_file = folder / "state.json"
        self._thread_lock = threading.RLock()
        self._unsaved = False  # the state could not be written
        self._not_before = 0.0  # no attempt to send before this time (of time.monotonic())
        self._state = self._saved_state()

    @classmethod
    def begin(cls, experiment: str, name: str, tags: dict[str, str], delegated: bool = False) -> "Journal":
        """Create the journal of a run that starts now."""
        folder = journal_home() / uuid.uuid4().hex
        folder.parent.mkdir(parents=True, exist_ok=True)
        journal = cls(folder, FileLock(f"{folder}.lock", thread_local=False), delegated)
        journal._lock.acquire()  # before the folder exists: a process that sees it unlocked takes it for an orphan
        folder.mkdir()
        journal._save_state(create_sent=False)
        tags = {**tags, JOURNAL_TAG: folder.name}
        journal.record("create", experiment=experiment, name=name, tags=tags, store=_store(), delegated=delegated)
        return journal

    def record(self, what: str, **content: Any) -> None:
        """Write an entry of the kind ``what`` (a method of :class:`Sender`) to the disk, then try to send it."""
        with self._thread_lock:
            if what == "artifact":
                content["path"] = self._copied(Path(content["path"]))
            self._lines.add({"what": what, "time": int(time.time() * 1000), **content})
            if time.monotonic() >= self._not_before and (not self._delegated or self._lines.held):
                self.send()

    @property
    def run_id(self) -> str | None:
        """MLflow's id of the run; None until MLflow has created it."""
        run_id: str | None = self._state["run"]
        return run_id

    def send(self) -> bool:
        """Send the entries that MLflow does not have; returns whether it has all entries now."""
        with self._thread_lock, _one_thread, environment(SHORT_TIMEOUTS):
            try:
                with self._sending:
                    self._send_entries()
                self._not_before = 0.0
                return True
            except Exception as error:  # stores of different kinds raise different errors
                self._not_before = time.monotonic() + RETRY_AFTER_S
                self._warn_once(error)
                return False

    def _send_entries(self) -> None:
        if not self._unsaved:
            self._state = self._saved_state()  # another process may have sent entries
        self._lines.write()
        for entry, end in self._lines.after(self._state["to"]):
            self._send_entry(entry)
            self._save_state(to=end)
        while held := self._lines.held:  # the disk is full: send from memory
            self._send_entry(parsed(held[0]))
            held.pop(0)

    def _warn_once(self, error: Exception) -> None:
        if (address := tracking_uri()) not in _warned:
            _warned.add(address)
            logger.warning(
                "MLflow (%s) does not answer: %s. The tracking data waits in %s and is sent later.",
                masked(address),
                masked(" ".join(str(error).split()))[:200],
                self._folder.parent,
            )

    def close(self, status: str, ended: int | None = None) -> bool:
        """Record the end of the run and release the journal; returns whether MLflow has all entries."""
        with self._thread_lock:
            self._not_before = float("inf")  # _finish sends
            self.record("end", status=status, ended=ended or int(time.time() * 1000))
            if self._delegated and not self._lines.held:
                self._lock.release()
                return False
            return self._finish()

    def is_foreign(self) -> bool:
        """Whether the journal belongs to another tracking store than the present one."""
        return bool(self._first().get("store", _store()) != _store())

    def is_delegated(self) -> bool:
        """Whether the process that writes the journal lets this one send it."""
        return bool(self._first().get("delegated"))

    def _first(self) -> Entry:
        return next(iter(self._lines.after(0)), (None, 0))[0] or {}

    def close_orphan(self) -> bool:
        """As :meth:`close`, for a process that died. Also false if the journal belongs to another tracking store."""
        entries = [entry for entry, _ in self._lines.after(0) if entry]
        if not self._state["run"] and not any(entry["what"] == "create" for entry in entries):
            # The process died before the first line was complete, or that line is damaged. Without it there is no run.
            if entries:
                logger.warning("%s.unreadable has no first line, and is not sent to MLflow", self._folder)
                shutil.copytree(self._folder, f"{self._folder}.unreadable", dirs_exist_ok=True)
            return self._remove()
        if self.is_foreign():
            self._lock.release()
            return False
        if entries[-1]["what"] == "end":
            return self._finish()
        return self.close("KILLED", entries[-1].get("time"))

    def _finish(self) -> bool:
        if self.send():
            return self._remove()
        self._lock.release()
        return False

    def _remove(self) -> bool:
        # The lines first: if the removal is interrupted, a folder without lines is not sent again.
        with suppress(OSError):
            self._lines.path.unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._lock.release()
        with suppress(OSError):
            Path(self._lock.lock_file).unlink(missing_ok=True)
        return True

    def _copied(self, file: Path) -> str:
        """Copy ``file`` into the journal, since it may change; returns the copy's path, or its own if that fails."""
        copy = self._files / uuid.uuid4().hex / file.name
        try:
            copy.parent.mkdir(parents=True)
            shutil.copy(file, copy)
        except OSError as error:
            shutil.rmtree(copy.parent, ignore_errors=True)
            logger.warning("%s could not be copied for MLflow (%s); the file itself is sent", file, error.strerror)
            return str(file.absolute())
        return str(copy.relative_to(self._folder))

    def _send_entry(self, entry: Entry | None) -> None:
        from mlflow.exceptions import MlflowException  # loading MLflow takes seconds
        from mlflow.tracking import MlflowClient

        from stillhouse.tracking.sender import Sender
        from stillhouse.tracking.store import is_refusal

        if entry is None:
            logger.warning("a line of %s is damaged, and is not sent to MLflow", self._lines.path)
            return
        what, created = entry["what"], self._state["create_sent"]
        sender = Sender(MlflowClient(tracking_uri()), self._state["run"], self._folder)
        try:
            if what == "create":
                # A retry after a crash then looks for the run before it creates one.
                self._save_state(create_sent=True)
                self._save_state(run=sender.create(self._folder.name if created else "", entry))
            else:
                getattr(sender, what)(entry)
        except MlflowException as error:
            if not is_refusal(error):
                raise
            logger.warning("MLflow refused %s: %s", what, masked(str(error))[:300])
        except OSError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # a malformed entry
            logger.warning("%s cannot be sent to MLflow: %s: %s", what, type(error).__name__, masked(str(error))[:300])

    def _saved_state(self) -> dict[str, Any]:
        """The saved state. If it cannot be read, the run is looked for in MLflow and all entries are sent again."""
        # The id of the run, whether the call that creates it was sent, and the number of bytes that were sent.
        unknown = {"run": None, "create_sent": True, "to": 0}
        try:
            state: dict[str, Any] = json.loads(self._state_file.read_text(encoding="utf-8"))
            return state if isinstance(state["to"], int) and state.keys() == unknown.keys() else unknown
        except (OSError, ValueError, KeyError, TypeError):
            return unknown

    def _save_state(self, **changes: Any) -> None:
        self._state |= changes
        try:
            with replacing(self._state_file) as partial:
                partial.write_text(json.dumps(self._state), encoding="utf-8")
            self._unsaved = False
        except OSError:  # a full disk: after a crash all entries are sent again to the same run
            self._unsaved = True
            with suppress(OSError):
                self._state_file.unlink(missing_ok=True)


def journal_home() -> Path:
    """The folder with the journals."""
    return Path(os.environ.get(HOME) or ".stillhouse/tracking").resolve()


def _store() -> str:
    """The address of the store without the password, by which journals of another store are recognised."""
    return masked(tracking_uri())
