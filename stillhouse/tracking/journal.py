"""What a run has to say, on disk before it is sent: an outage of the tracking store loses none of it.

A journal is a folder with a line for each entry, and the files that belong to it. How far MLflow has them is noted
beside it, and when it has all, the folder goes. A file lock says whether the process that writes is still there, also
after a restart and in another container.

Nothing here ends the work that is tracked. A line that cannot be read, or that can never be sent, is logged and
skipped; what cannot be written (a full disk) is held in memory; what a dead process left is sent by the next one.
"""

import json
import logging
import os
import re
import shutil
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from stillhouse.files import replacing
from stillhouse.secrets import masked
from stillhouse.tracking.address import tracking_uri
from stillhouse.tracking.lines import Entry, Lines, parsed
from stillhouse.tracking.sender import JOURNAL_TAG, Sender
from stillhouse.tracking.store import SHORT_TIMEOUTS, environment, is_refusal

HOME = "STILLHOUSE_JOURNALS"  # set for the children of a run: all journals of a flow lie together
RETRY_AFTER_S = 30.0  # after which a store that did not answer is asked again
logger = logging.getLogger(__name__)
_warned: set[str] = set()


class Journal:
    """The journal in ``folder``, held by this process until it is closed."""

    def __init__(self, folder: Path, lock: FileLock) -> None:
        self._folder, self._lock = folder, lock
        self._lines, self._taken, self._files = Lines(folder / "said.jsonl"), folder / "taken.json", folder / "files"
        self._one_at_a_time = threading.RLock()
        self._not_before = 0.0
        self._state = self._noted()

    @classmethod
    def begin(cls, experiment: str, name: str, tags: dict[str, str]) -> "Journal":
        """A new one, of a run that starts now."""
        folder = journal_home() / uuid.uuid4().hex
        folder.parent.mkdir(parents=True, exist_ok=True)
        journal = cls(folder, FileLock(f"{folder}.lock", thread_local=False))
        journal._lock.acquire()  # before others can see the folder, and take it for a dead process's
        folder.mkdir()
        journal._note(asked=False)
        journal.record(
            "create", experiment=experiment, name=name, tags={**tags, JOURNAL_TAG: folder.name}, store=_store()
        )
        return journal

    def record(self, what: str, **content: Any) -> None:
        """Write down one entry (a method of :class:`Sender` takes it), then try to send it."""
        with self._one_at_a_time:
            if what == "artifact":
                content["path"] = self._copied(Path(content["path"]))
            self._lines.add({"what": what, "time": int(time.time() * 1000), **content})
            if time.monotonic() >= self._not_before:
                self.send()

    @property
    def run_id(self) -> str | None:
        """MLflow's name of the run, once it has heard of it."""
        taken: str | None = self._state["run"]
        return taken

    def send(self) -> bool:
        """Send what MLflow has not taken yet; whether it has all now."""
        with self._one_at_a_time, environment(SHORT_TIMEOUTS):
            try:
                self._lines.write()
                for entry, end in self._lines.after(self._state["to"]):
                    self._take(entry)
                    self._note(to=end)
                while held := self._lines.held:  # the disk is full: from memory
                    self._take(parsed(held[0]))
                    held.pop(0)
                self._not_before = 0.0
                return True
            except Exception as error:  # each kind of store has errors of its own
                self._not_before = time.monotonic() + RETRY_AFTER_S
                self._complain(error)
                return False

    def _complain(self, error: Exception) -> None:
        if (address := tracking_uri()) not in _warned:
            _warned.add(address)
            logger.warning(
                "MLflow (%s) does not answer: %s. What there is to track waits in %s until it does.",
                masked(address),
                masked(" ".join(str(error).split()))[:200],
                self._folder.parent,
            )

    def close(self, status: str, ended: int | None = None) -> bool:
        """Say that the run ended, and let go; whether MLflow has all."""
        with self._one_at_a_time:
            self._not_before = float("inf")
            self.record("end", status=status, ended=ended or int(time.time() * 1000))
            return self._let_go()

    def close_for_the_dead(self) -> bool:
        """As :meth:`close`, where its process did not live to say so; false, too, where it is another store's."""
        said = [entry for entry, _ in self._lines.after(0) if entry]
        if not self._state["run"] and not any(entry["what"] == "create" for entry in said):
            # It died before its first line was whole; or that line was damaged, and no run can be made of the others.
            if said:
                logger.warning("%s.unreadable has no first line, and is not sent to MLflow", self._folder)
                shutil.copytree(self._folder, f"{self._folder}.unreadable", dirs_exist_ok=True)
            return self._remove()
        if said[0].get("store", _store()) != _store():
            self._lock.release()
            return False
        if said[-1]["what"] == "end":
            return self._let_go()
        return self.close("KILLED", said[-1].get("time"))

    def _let_go(self) -> bool:
        if self.send():
            return self._remove()
        self._lock.release()
        return False

    def _remove(self) -> bool:
        # The lines first: a folder without them is never sent again, whatever of it is left.
        with suppress(OSError):
            self._lines.path.unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._lock.release()
        with suppress(OSError):
            Path(self._lock.lock_file).unlink(missing_ok=True)
        return True

    def _copied(self, file: Path) -> str:
        """The place of a copy of ``file`` in the journal, since the file may change; its own where that fails."""
        copy = self._files / uuid.uuid4().hex / file.name
        try:
            copy.parent.mkdir(parents=True)
            shutil.copy(file, copy)
        except OSError as error:
            shutil.rmtree(copy.parent, ignore_errors=True)
            logger.warning("no copy of %s was made for MLflow (%s); it is sent from where it is", file, error.strerror)
            return str(file.absolute())
        return str(copy.relative_to(self._folder))

    def _take(self, said: Entry | None) -> None:
        if said is None:
            logger.warning("a line of %s is damaged, and is not sent to MLflow", self._lines.path)
            return
        what, asked = said["what"], self._state["asked"]
        sender = Sender(MlflowClient(tracking_uri()), self._state["run"], self._folder)
        try:
            if what == "create":
                self._note(asked=True)  # so that a crash in between makes no second run
                self._note(run=sender.create(self._folder.name if asked else "", said))
            else:
                getattr(sender, what)(said)
        except MlflowException as error:
            if not is_refusal(error):
                raise
            logger.warning("MLflow did not take %s: %s", what, masked(str(error))[:300])
        except OSError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # an entry that no store could take
            logger.warning("%s cannot be sent to MLflow: %s: %s", what, type(error).__name__, masked(str(error))[:300])

    def _noted(self) -> dict[str, Any]:
        """How far MLflow has this journal. Where that cannot be read, its run is looked for, and all is sent again."""
        unknown = {"run": None, "asked": True, "to": 0}
        try:
            state: dict[str, Any] = json.loads(self._taken.read_text(encoding="utf-8"))
            return state if isinstance(state["to"], int) and state.keys() == unknown.keys() else unknown
        except (OSError, ValueError, KeyError, TypeError):
            return unknown

    def _note(self, **changes: Any) -> None:
        self._state |= changes
        try:
            with replacing(self._taken) as partial:
                partial.write_text(json.dumps(self._state), encoding="utf-8")
        except OSError:  # a full disk: all is sent again after a crash, and MLflow has it once
            with suppress(OSError):
                self._taken.unlink(missing_ok=True)


def journal_home() -> Path:
    """Where the journals are."""
    return Path(os.environ.get(HOME) or ".stillhouse/tracking").resolve()


def send_remaining() -> int:
    """Send what earlier runs of this project left, and end those whose process died; how many are still left.

    A journal that cannot be read, locked or sent is logged and left, and the next one has its turn.
    """
    folders = [folder for folder in sorted(journal_home().glob("*/")) if re.fullmatch(r"[0-9a-f]{32}", folder.name)]
    left = 0
    for number, folder in enumerate(folders):
        lock = FileLock(f"{folder}.lock", thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:  # at work
            continue
        except OSError as error:
            logger.warning("%s cannot be locked, and is left: %s", folder, error)
            left += 1
            continue
        try:
            if not folder.is_dir():  # another process sent it in the meantime
                lock.release()
                Path(lock.lock_file).unlink(missing_ok=True)
            elif not Journal(folder, lock).close_for_the_dead():
                left += 1
                if not _answers():  # the others would wait for the same store, one after the other
                    return left + len(folders) - number - 1
        except Exception as error:
            lock.release()
            logger.warning("%s is left: %s: %s", folder, type(error).__name__, masked(str(error))[:200])
            left += 1
    return left


def _answers() -> bool:
    try:
        with environment(SHORT_TIMEOUTS):
            MlflowClient(tracking_uri()).search_experiments(max_results=1)
    except Exception:  # each kind of store has errors of its own
        return False
    return True


def _store() -> str:
    """Says whether it is still the same store, without the password."""
    return masked(tracking_uri())
