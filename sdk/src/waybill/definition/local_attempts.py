"""Attempts that no service runs, for functions that are run here and at once."""

from datetime import UTC, datetime
from typing import Any, Final

from waybill_contracts.privacy import Keyring
from waybill_worker.attempt import Attempt, SyncAttempt
from waybill_worker.files import NoObjectStoreError
from waybill_worker.outputs import Spawning

#: Of the task of each such attempt.
TASK_ID: Final = "01a22a70-ebad-7341-b3c3-5bd5253e4852"


def attempt_of(kind: str) -> Attempt:
    """The first attempt of a task: what it submits is checked, and kept from everybody; it has no files."""
    keyring = Keyring.of(Keyring.new_key())
    spawning = Spawning(TASK_ID, TASK_ID, keyring=lambda: keyring, now=lambda: datetime.now(UTC))
    return Attempt(TASK_ID, kind.rpartition(".")[0], kind, TASK_ID, 1, 1, 0, None, spawning=spawning)


def sync_attempt_of(kind: str) -> SyncAttempt:
    """The same for a plain function."""
    attempt = attempt_of(kind)

    def call(method: str, *arguments: Any, **named: Any) -> Any:
        if method.startswith("files."):
            raise NoObjectStoreError
        return attempt.submit(*arguments, **named) if method == "submit" else None

    return SyncAttempt.of(attempt, call)
