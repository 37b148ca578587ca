"""Spawned tasks: what a handler submits is collected, and accepted with the outcome of its attempt."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from typing import Final, Literal

from pydantic_core import PydanticSerializationError, to_json

from waybill_contracts.events import Event
from waybill_contracts.privacy import NO_KEYS, Keyring
from waybill_contracts.registry import Contract
from waybill_contracts.wire import (
    MAX_DELAY,
    MAX_SPAWNED,
    MAX_SPAWNED_BYTES,
    SpawnedTask,
    spawned_task_id,
)
from waybill_worker.errors import SnoozeError, SubmissionRefusedError

#: Priority of a spawned task, as callers of the API name it.
Priority = Literal["low", "normal", "high"]
#: Gives the keys of a service.
KeyringSource = Callable[[], Keyring]
#: Bytes of a spawned task in its message besides its data.
_BYTES_AROUND: Final = 300


def no_keyring() -> Keyring:
    """The keys of a service that has none.

    Raises:
        ValueError: always.
    """
    raise ValueError("this service was made without sealing keys")


@cache
def _contract_of(event: type[Event]) -> Contract:
    return Contract.of(event)


class Spawning:
    """What one run of an attempt has submitted so far; any thread may submit.

    Args:
        task_id: the parent.
        effect_key: key of its effect: repeats of the attempt give their submissions the same ids.
        keyring: gives the keys that seal sensitive fields.
        now: the time.
    """

    def __init__(
        self, task_id: str, effect_key: str, *, keyring: KeyringSource, now: Callable[[], datetime]
    ) -> None:
        self._task_id = task_id
        self._effect_key = effect_key
        self._keyring = keyring
        self._now = now
        self._tasks: list[SpawnedTask] = []
        self._bytes = 0
        self._is_closed = False
        self._one = threading.Lock()

    def submit(
        self,
        event: Event,
        *,
        delay_seconds: float | None = None,
        send_at: datetime | None = None,
        priority: Priority = "normal",
    ) -> str:
        """Adds a task; see `Attempt.submit`."""
        due_at = self._due_at(delay_seconds, send_at)
        with self._one:
            if self._is_closed:
                raise RuntimeError("the handler has returned: its outcome cannot get further tasks")
            if len(self._tasks) == MAX_SPAWNED:
                raise SubmissionRefusedError(f"An attempt may submit at most {MAX_SPAWNED:,} tasks.")
            id_ = spawned_task_id(self._task_id, self._effect_key, len(self._tasks))
            task = self._task(id_, event, due_at, priority)
            self._bytes += len(to_json(task.payload)) + _BYTES_AROUND
            if self._bytes > MAX_SPAWNED_BYTES:
                raise SubmissionRefusedError(
                    f"The tasks of an attempt may have at most {MAX_SPAWNED_BYTES:,} bytes together; with "
                    f"number {len(self._tasks) + 1} these have {self._bytes:,}."
                )
            self._tasks.append(task)
        return id_

    def closed(self) -> tuple[SpawnedTask, ...] | None:
        """What was submitted, None for nothing; nothing more can be."""
        with self._one:
            self._is_closed = True
            return tuple(self._tasks) or None

    def _due_at(self, delay_seconds: float | None, send_at: datetime | None) -> datetime | None:
        now = self._now()
        if delay_seconds is not None and send_at is not None:
            raise SubmissionRefusedError("Give send_at or delay_seconds, not both.")
        if send_at is not None and send_at.tzinfo is None:
            raise SubmissionRefusedError("send_at needs a time zone.")
        if delay_seconds is not None:
            if not 0 <= delay_seconds <= MAX_DELAY.total_seconds():
                raise SubmissionRefusedError("delay_seconds must lie between 0 and ten years.")
            send_at = now + timedelta(seconds=delay_seconds)
        if send_at is None or send_at <= now:
            return None
        if send_at - now > MAX_DELAY:
            raise SubmissionRefusedError("send_at is more than ten years ahead.")
        return send_at

    def _task(self, id_: str, event: Event, due_at: datetime | None, priority: Priority) -> SpawnedTask:
        if not isinstance(event, Event):
            raise SubmissionRefusedError(f"A task is submitted as an event, not as {type(event).__name__}.")
        try:
            # An event can be made unchecked, and be changed inside: it is read as its service will read it.
            text = event.model_dump_json(exclude_defaults=True, warnings=False)
            checked = type(event).model_validate_json(text)
            return SpawnedTask(
                id=id_,
                kind=event.KIND,
                dataschema=event.dataschema(),
                payload=self._sealed(checked, id_),
                due_at=due_at,
                priority=None if priority == "normal" else priority,
            )
        except (ValueError, PydanticSerializationError) as error:
            raise SubmissionRefusedError(f"{event.KIND} cannot be submitted: {error}") from error

    def _sealed(self, event: Event, id_: str) -> str:
        # By the contract, which also has the marks within nested models.
        sensitive = _contract_of(type(event)).sensitive
        keyring = self._keyring_for(event) if sensitive else NO_KEYS
        return to_json(keyring.seal_fields(event.event_data(), sensitive, id_)).decode()

    def _keyring_for(self, event: Event) -> Keyring:
        try:
            return self._keyring()
        except ValueError as error:
            # A fault of the configuration, not of the work: with a key, a later run can complete it.
            raise SnoozeError(f"{event.KIND} has sensitive fields and cannot be submitted: {error}") from None
