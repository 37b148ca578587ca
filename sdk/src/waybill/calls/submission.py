"""Tasks to be submitted."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypedDict

from waybill.calls.keys import checked_key
from waybill_contracts.events import Event

#: Of a task: `low` waits until its services have no other work, `high` overtakes.
Priority = Literal["low", "normal", "high"]


class SubmitOptions(TypedDict, total=False):
    """The options of `submit`, each of which may be left out.

    options: SubmitOptions = {"priority": "low", "delay_seconds": 60}
    client.submit(event, **options)
    """

    #: Idempotency key: however often a call with it is made, one task is accepted. A new one by default.
    key: str | None
    #: Not before this time, which has a zone.
    send_at: datetime | None
    #: Not before so many seconds from now.
    delay_seconds: float | timedelta | None
    #: `low` is bulk work, which never delays other work; `high` is rare work that a person waits for.
    priority: Priority
    #: Version of the contract that the data follows, where a kind is given as text; the newest by default.
    version: int | None
    #: Your name for the request, which becomes the task's correlation id.
    request_id: str | None
    #: The trace that the task becomes part of; by default that of OpenTelemetry, if the application uses it.
    traceparent: str | None
    #: Seconds for the call with all its attempts, instead of the client's.
    deadline: float | None


@dataclass(frozen=True, slots=True)
class Submission:
    """A task with its options, for `submit_many`.

        client.submit_many([Submission(event, key=f"order-{order.id}") for order, event in new])

    Args:
        event: an event, or the name of a kind.
        data: the data, where a kind is named.
        key: idempotency key of this task.
        version: of the contract that the data follows; None: that of the event, or the newest.
        send_at: not before this time, which has a zone.
        delay_seconds: not before so many seconds from now.
        priority: `low`, `normal` or `high`.
        request_id: your name for the task, which becomes its correlation id; None: its own id.
        traceparent: the trace that it becomes part of (W3C Trace Context); None: that of the call.

    Raises:
        TypeError: neither an event, nor a kind and its data.
        ValueError: the key is none, `send_at` has no zone, or two starts are given.
    """

    event: Event | str
    data: Mapping[str, Any] | None = None
    key: str | None = None
    version: int | None = None
    send_at: datetime | None = None
    delay_seconds: float | timedelta | None = None
    priority: Priority = "normal"
    request_id: str | None = None
    traceparent: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.event, Event):
            if self.data is not None or self.version is not None:
                raise TypeError("an event has its own data and version: give it alone")
        elif self.data is None:
            raise TypeError("give an event, or the name of a kind and its data")
        if self.key is not None:
            checked_key(self.key)
        timing_of({"send_at": self.send_at, "delay_seconds": self.delay_seconds})

    def document(self) -> dict[str, Any]:
        """What `POST /v1/tasks` takes, without the key."""
        stated = self._content() | timing_of(
            {
                "send_at": self.send_at,
                "delay_seconds": self.delay_seconds,
                "priority": self.priority,
            }
        )
        return {name: value for name, value in stated.items() if value is not None}

    def _content(self) -> dict[str, Any]:
        if isinstance(self.event, Event):
            # Not the newest: a gateway that knows a newer one must not read this data by it.
            version = self.event.VERSION
            return {"kind": self.event.KIND, "version": version, "data": self.event.event_data()}
        return {"kind": self.event, "version": self.version, "data": self.data}


def timing_of(options: SubmitOptions) -> dict[str, Any]:
    """Start and priority as the gateway takes them; None: the default.

    Raises:
        ValueError: `send_at` has no zone, or two starts are given.
    """
    at, delay = options.get("send_at"), options.get("delay_seconds")
    if at is not None and at.tzinfo is None:
        raise ValueError("send_at has no time zone: datetime.now(UTC) + timedelta(hours=1)")
    if at is not None and delay is not None:
        raise ValueError("give send_at or delay_seconds, not both")
    priority = options.get("priority", "normal")
    return {
        "send_at": at and at.isoformat(),
        "delay_seconds": delay.total_seconds() if isinstance(delay, timedelta) else delay,
        "priority": None if priority == "normal" else priority,
    }
