"""Plain handlers of tests: functions of a module, so that other processes find them."""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from waybill_contracts.kinds.syncs import SyncRequested
from waybill_testkit.samples import sync_event
from waybill_worker.attempt.sync_attempt import SyncAttempt
from waybill_worker.errors import PermanentError, TransientError

#: Seconds, longer than any test waits.
FOR_EVER = 3600.0
#: Seconds, longer than the soft limit of its test.
LATE = 0.5


class OddError(Exception):
    """An error that cannot be made again from its text."""

    def __init__(self, code: int, *, where: str) -> None:
        super().__init__(f"{code} in {where}")
        self.code = code


class UnsendableError(Exception):
    """An error that cannot be pickled."""

    def __init__(self) -> None:
        super().__init__("holds a lock")
        self.held = threading.Lock()


def note(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(f"{line}\n")


def _pid(attempt: SyncAttempt, _notes: Path) -> dict[str, Any]:
    return {"pid": os.getpid(), "key": attempt.effect_key, "attempt": attempt.attempt}


def _effect(attempt: SyncAttempt, notes: Path) -> dict[str, Any]:
    attempt.begin_effect()
    note(notes, "acted")
    return {}


def _permanent(_attempt: SyncAttempt, _notes: Path) -> None:
    raise PermanentError("no such customer")


def _transient(_attempt: SyncAttempt, _notes: Path) -> None:
    raise TransientError("busy", retry_after=7)


def _odd(_attempt: SyncAttempt, _notes: Path) -> None:
    _fail_below()


def _unsendable(_attempt: SyncAttempt, _notes: Path) -> None:
    raise UnsendableError


def _exit(_attempt: SyncAttempt, _notes: Path) -> None:
    sys.exit(3)


def _dies(attempt: SyncAttempt, _notes: Path) -> None:
    attempt.begin_effect()
    os.kill(os.getpid(), signal.SIGKILL)


def _deaf(_attempt: SyncAttempt, notes: Path) -> None:
    note(notes, str(os.getpid()))
    until = time.monotonic() + FOR_EVER
    while not notes.with_name("end").exists() and time.monotonic() < until:
        time.sleep(0.01)


def _progress(attempt: SyncAttempt, notes: Path) -> None:
    attempt.progress(0.4, "page 4 of 10")
    _deaf(attempt, notes)


def _submits(attempt: SyncAttempt, _notes: Path) -> dict[str, Any]:
    return {"id": attempt.submit(sync_event("8"), priority="low")}


def _opens(attempt: SyncAttempt, notes: Path) -> dict[str, Any]:
    with attempt.files.open(notes.with_name("key").read_text()) as path:
        note(notes, str(path))
        if notes.with_name("dies").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return {"content": path.read_text()}


def _late(_attempt: SyncAttempt, _notes: Path) -> dict[str, Any]:
    time.sleep(LATE)
    return {"done": "late"}


def _fail_below() -> None:
    try:
        _cause()
    except KeyError as error:
        raise OddError(7, where="the ledger") from error


def _cause() -> None:
    raise KeyError("missing")


def _cooperative(attempt: SyncAttempt, notes: Path) -> None:
    note(notes, "began")
    try:
        while True:
            attempt.checkpoint()
            time.sleep(0.005)
    except asyncio.CancelledError as stopped:
        note(notes, f"cleaned up after {stopped.args[0]}")
        raise


WAYS: dict[str, Callable[[SyncAttempt, Path], dict[str, Any] | None]] = {
    "pid": _pid,
    "nothing": lambda _attempt, _notes: None,
    "effect": _effect,
    "permanent": _permanent,
    "transient": _transient,
    "odd": _odd,
    "unsendable": _unsendable,
    "exit": _exit,
    "dies": _dies,
    "cooperative": _cooperative,
    "deaf": _deaf,
    "late": _late,
    "progress": _progress,
    "submits": _submits,
    "opens": _opens,
}


def handle(event: SyncRequested, attempt: SyncAttempt) -> dict[str, Any] | None:
    """Goes the way that the resource names; the record's data name a file for notes."""
    return WAYS[event.resource](attempt, Path(event.data["notes"]))
