"""A row of the application outbox: an event that its contract allows, and when and how it is to be done."""

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final, get_args

from waybill.calls import TRACEPARENT, Priority, checked_key, new_key, trace_headers
from waybill_contracts.events import Event
from waybill_contracts.registry import Contract

#: Bytes of the data of one event as JSON: a gateway takes bodies of a mebibyte.
MAX_DATA_BYTES: Final = 1_000_000
#: A gateway takes no task for a later time.
MAX_DELAY: Final = timedelta(days=3650)
_PRIORITIES: Final = get_args(Priority)
_MAX_ORDER_KEY: Final = 255
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
#: Faults of the data that an error names.
_MOST_FAULTS: Final = 5


class OutboxError(ValueError):
    """What was to be submitted cannot be; the text says why, without values of the data.

    try:
        outbox.submit(session, InvoiceRequested(order_id="7"), delay_seconds=-1)
    except OutboxError as error:
        print(error)
    """


@dataclass(frozen=True, slots=True)
class NewRow:
    """What a submission writes; the fields are the columns."""

    id: str
    kind: str
    version: int
    data: str
    idempotency_key: str | None
    order_key: str | None
    priority: str | None
    send_at: str | None
    traceparent: str | None


def new_row(
    event: Event,
    *,
    key: str | None = None,
    delay_seconds: float | timedelta | None = None,
    send_at: datetime | None = None,
    priority: Priority = "normal",
    order_key: str | None = None,
) -> NewRow:
    """The row of an event: see `submit`.

    Raises:
        OutboxError: the contract of the event does not allow its data, or an option is wrong.
    """
    id_ = new_key()
    return NewRow(
        id_,
        event.KIND,
        event.VERSION,
        _checked_data(event, id_),
        _checked_key(key),
        _checked_order_key(order_key),
        _checked_priority(priority),
        _begins_at(delay_seconds, send_at),
        trace_headers().get(TRACEPARENT),
    )


def made_at(id_: str) -> datetime:
    """When a row was made, by its id."""
    return datetime.fromtimestamp((uuid.UUID(id_).int >> 80) / 1000, UTC)


def _checked_data(event: Event, id_: str) -> str:
    contract = _contract_of(type(event))
    data = event.event_data()
    # With any id: the task has none yet.
    if faults := contract.faults(contract.completed(data, id_)):
        shown = "; ".join(f"{fault.pointer or '/'}: {fault.message}" for fault in faults[:_MOST_FAULTS])
        raise OutboxError(f"the contract {contract.dataschema} does not allow this data: {shown}")
    try:
        text = _ENCODER.encode(data)
        size = len(text.encode())
    except ValueError as error:  # also a text that is no Unicode
        raise OutboxError(f"the data of {event.KIND} cannot be JSON: {type(error).__name__}") from None
    if size > MAX_DATA_BYTES:
        raise OutboxError(
            f"the data of {event.KIND} is {size} bytes long, the limit is {MAX_DATA_BYTES}: upload it as a "
            "file, and submit the file's reference"
        )
    return text


@cache
def _contract_of(event: type[Event]) -> Contract:
    if not isinstance(getattr(event, "KIND", None), str):
        raise OutboxError(
            f'{event.__name__} has no kind: class {event.__name__}(Event, kind="invoice.requested")'
        )
    return Contract.of(event)


def _checked_key(key: str | None) -> str | None:
    try:
        return None if key is None else checked_key(key)
    except ValueError as error:
        raise OutboxError(str(error)) from None


def _checked_order_key(order_key: str | None) -> str | None:
    if order_key is not None and (not 1 <= len(order_key) <= _MAX_ORDER_KEY or "\0" in order_key):
        raise OutboxError(f"order_key is 1 to {_MAX_ORDER_KEY} characters")
    return order_key


def _checked_priority(priority: str) -> str | None:
    if priority not in _PRIORITIES:
        raise OutboxError(f"priority is one of: {', '.join(_PRIORITIES)}")
    return None if priority == "normal" else priority


def _begins_at(delay_seconds: float | timedelta | None, send_at: datetime | None) -> str | None:
    """When the task is to begin; a delay counts from now, not from when a relay posts the row."""
    if delay_seconds is None and send_at is None:
        return None
    if delay_seconds is not None and send_at is not None:
        raise OutboxError("give delay_seconds or send_at, not both")
    now = datetime.now(UTC)
    if delay_seconds is not None:
        wait = delay_seconds if isinstance(delay_seconds, timedelta) else timedelta(seconds=delay_seconds)
        if not timedelta(0) <= wait <= MAX_DELAY:
            raise OutboxError(f"delay_seconds is 0 to {int(MAX_DELAY.total_seconds())}")
        send_at = now + wait if wait else None
    if send_at is None:
        return None
    if send_at.utcoffset() is None:
        raise OutboxError("send_at has no time zone: datetime.now(UTC) + …")
    if send_at - now > MAX_DELAY:
        raise OutboxError("send_at is more than ten years ahead")
    return send_at.astimezone(UTC).isoformat()
