"""Sending what stages and dead processes left in their journals."""

import logging
import re
import threading
import time
from pathlib import Path

from filelock import FileLock, Timeout

from stillhouse.secrets import masked
from stillhouse.tracking.address import tracking_uri
from stillhouse.tracking.environment import SHORT_TIMEOUTS, environment
from stillhouse.tracking.journal import RETRY_AFTER_S, Journal, journal_home

DELIVER_S = 1.0  # shortest time between two deliveries
logger = logging.getLogger(__name__)
_delivering = threading.Lock()
_next_delivery = 0.0  # of time.monotonic()


def deliver() -> None:
    """Send what the running stages of this flow have logged so far.

    It does nothing within a second of the last call, and for half a minute after the store did not answer.
    """
    global _next_delivery
    if time.monotonic() < _next_delivery or not _delivering.acquire(blocking=False):
        return
    try:
        answers = all([_is_sent(folder) for folder in _folders()])
        _next_delivery = time.monotonic() + (DELIVER_S if answers else RETRY_AFTER_S)
    finally:
        _delivering.release()


def _is_sent(folder: Path) -> bool:
    lock = FileLock(f"{folder}.lock", thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:  # its process is alive and writes; another may send meanwhile
        journal = Journal(folder, lock)
        return not journal.is_delegated() or journal.is_foreign() or journal.send()
    except OSError:  # send_remaining logs it
        return True
    lock.release()
    return True  # complete: send_remaining sends and removes it


def _folders() -> list[Path]:
    return [folder for folder in sorted(journal_home().glob("*/")) if re.fullmatch(r"[0-9a-f]{32}", folder.name)]


def send_remaining() -> int:
    """Send the journals that earlier runs of this project left behind, and end the runs whose process died.

    A journal that cannot be read, locked or sent is logged and stays on disk. Returns how many journals remain.
    """
    folders, remaining = _folders(), 0
    for number, folder in enumerate(folders):
        lock = FileLock(f"{folder}.lock", thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:  # its process is alive
            continue
        except OSError as error:
            logger.warning("%s cannot be locked and is not sent: %s", folder, error)
            remaining += 1
            continue
        try:
            if not folder.is_dir():  # another process sent it in the meantime
                lock.release()
                Path(lock.lock_file).unlink(missing_ok=True)
            elif not Journal(folder, lock).close_orphan():
                remaining += 1
                if not _store_answers():  # each further journal would wait for the same store
                    return remaining + len(folders) - number - 1
        except Exception as error:
            lock.release()
            logger.warning("%s is not sent: %s: %s", folder, type(error).__name__, masked(str(error))[:200])
            remaining += 1
    return remaining


def _store_answers() -> bool:
    from mlflow.tracking import MlflowClient  # loading MLflow takes seconds; most often nothing remains

    try:
        with environment(SHORT_TIMEOUTS):
            MlflowClient(tracking_uri()).search_experiments(max_results=1)
    except Exception:  # stores of different kinds raise different errors
        return False
    return True
