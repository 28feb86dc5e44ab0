"""The file of paid answers: each answer is stored once it is there, and is never paid for again.

``answers.jsonl`` is only appended to. Each line is a JSON object of one of these kinds:

- an answer: ``key`` (digest of the complete request), what was answered, ``usage``, ``dollars``, and the ``call``
  that it settles;
- ``{"call": id, "worst": dollars}``: a call is about to be sent and may cost so much;
- ``{"unpaid": id}``: the server refused this call, so that it costs nothing.

A call without an answer or a refusal counts with its highest price: a killed process may have left it to the server.
``check`` in each line is a checksum.
"""

import contextlib
import json
import os
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from stillhouse.errors import BadInput

FILE, LOCK = "answers.jsonl", "answers.lock"
LOG_EVERY_S = 60.0


@dataclass
class Totals:
    """Sums over the answers in the file."""

    answers: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    dollars: float = 0.0  # of answers
    bytes: int = 0  # of the requests that labelled texts and whose tokens are known
    bytes_tokens: int = 0  # prompt tokens of these requests
    seconds: list[float] = field(default_factory=list)  # that each answer about a text took


class Cache:
    """The answers in a folder. One process at a time adds to them; any number reads them."""

    def __init__(self, folder: Path, name: str = FILE) -> None:
        """Read the answers in ``folder``, in the file ``name``. A line that is not finished at the end is ignored.

        Raises:
            BadInput: a line is damaged.
        """
        self.file = folder / name
        self.totals: dict[str, Totals] = {}  # by model
        self._places: dict[str, tuple[int, int]] = {}
        self._open: dict[str, float] = {}
        self._end = self._lines = 0
        self._lock, self._mutex = FileLock(folder / LOCK, thread_local=False), threading.RLock()
        self._descriptor: int | None = None
        self._read_on()

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __iter__(self) -> Iterator[str]:
        """The keys of all answers, in the order of the file."""
        return iter(list(self._places))

    @property
    def dollars(self) -> float:
        """The price of all calls so far. Calls whose outcome is not known count with their highest price."""
        with self._mutex:
            return sum(totals.dollars for totals in self.totals.values()) + self.unknown_dollars

    @property
    def unknown_dollars(self) -> float:
        """The highest price of the calls whose outcome is not known."""
        with self._mutex:
            return sum(self._open.values())

    def get(self, key: str) -> dict[str, Any] | None:
        """The answer with this key, or None."""
        with self._mutex:
            place = self._places.get(key)
            if place is None:
                return None
            with self.file.open("rb") as file:
                file.seek(place[0])
                found: dict[str, Any] = json.loads(file.read(place[1]))
        return found

    def begin_adding(self, log: Callable[[str], None]) -> None:
        """Take the lock of the folder, waiting for another process, and read what that process has added.

        Raises:
            BadInput: a line is damaged.
        """
        if self._descriptor is not None:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                self._lock.acquire(timeout=0)
                break
            except Timeout:
                log(f"waiting: another process adds answers to {self.file}")
                with contextlib.suppress(Timeout):
                    self._lock.acquire(timeout=LOG_EVERY_S)
                    break
        self._read_on()
        self._descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        if os.fstat(self._descriptor).st_size > self._end:  # a killed process has left a part of a line
            os.ftruncate(self._descriptor, self._end)

    def add(self, line: dict[str, Any], durable: bool = True) -> None:
        """Append a line. With ``durable`` it is on the disk when this returns.

        Raises:
            OSError: the disk is full or not writable. The file is as before.
        """
        with self._mutex:
            assert self._descriptor is not None, "begin_adding comes first"
            data = _encode(line)
            try:
                written = 0
                while written < len(data):
                    written += os.write(self._descriptor, data[written:])
                if durable:
                    os.fsync(self._descriptor)
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, self._end)
                raise
            self._count(line, len(data))

    def close(self) -> None:
        """Release the lock."""
        with self._mutex:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
            self._lock.release()

    def _read_on(self) -> None:
        try:
            file = self.file.open("rb")
        except FileNotFoundError:
            return
        with file, self._mutex:
            file.seek(self._end)
            for data in file:
                if not data.endswith(b"\n"):
                    return
                line = _decode(data)
                if line is None:
                    raise BadInput(
                        f"{self.file}, line {self._lines + 1}: the line is damaged. Restore the file from a copy, or "
                        "delete this line; an answer that it had is then paid for again."
                    )
                self._count(line, len(data))

    def _count(self, line: dict[str, Any], length: int) -> None:
        if "key" in line:
            self._places.setdefault(line["key"], (self._end, length))
            self._open.pop(line.get("call", ""), None)
        if "key" in line and "rejected" not in line:
            totals = self.totals.setdefault(line["model"], Totals())
            totals.answers += 1
            totals.dollars += line["dollars"]
            if usage := line["usage"]:
                totals.prompt_tokens += usage["prompt_tokens"]
                totals.completion_tokens += usage["completion_tokens"]
            if line["bytes"]:
                totals.seconds.append(line["seconds"])
            if usage and line["bytes"]:
                totals.bytes += line["bytes"]
                totals.bytes_tokens += usage["prompt_tokens"]
        elif "worst" in line:
            self._open[line["call"]] = line["worst"]
        elif "unpaid" in line:
            self._open.pop(line["unpaid"], None)
        self._end += length
        self._lines += 1


def _encode(line: dict[str, Any]) -> bytes:
    body = json.dumps(line, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return f'{{"check":"{zlib.crc32(body.encode()):08x}",{body[1:]}\n'.encode()


def _decode(data: bytes) -> dict[str, Any] | None:
    """The line, or None if it is damaged."""
    start = len('{"check":"01234567",')
    body = b"{" + data[start:-1]
    if data[:start] != f'{{"check":"{zlib.crc32(body):08x}",'.encode():
        return None
    content = json.loads(body)
    return content if isinstance(content, dict) else None


def copy_answers(source: Path, folder: Path, log: Callable[[str], None]) -> int:
    """Add the answers of another cache, with the prices that were paid for them.

    Args:
        source: the other cache's folder, or a copy of its file ``answers.jsonl``.
        folder: the folder of the cache that is added to.
        log: for the message that another process has the lock.

    Returns:
        The number of answers that were missing.

    Raises:
        BadInput: ``source`` does not exist, or a line of one of the files is damaged.
    """
    file = source / FILE if source.is_dir() else source
    if not file.is_file():
        raise BadInput(f"{file} does not exist. Name the folder of a cache, or a copy of its file {FILE}.")
    other, own = Cache(file.parent, file.name), Cache(folder)
    own.begin_adding(log)
    try:
        missing = [key for key in other if key not in own]
        for key in missing:
            line = other.get(key) or {}
            own.add({name: value for name, value in line.items() if name not in ("call", "check")}, durable=False)
        return len(missing)
    finally:
        own.close()
