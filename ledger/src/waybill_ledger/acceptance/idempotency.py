"""Idempotency keys: a repeated call with the same key gets the answer of the first one.

Source: IETF draft "The Idempotency-Key HTTP Header Field" (draft-ietf-httpapi-idempotency-key-header).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, delete, select, tuple_, update

from waybill_database import DriverStatement, insert_new_in
from waybill_ledger.schema import IDEMPOTENCY

#: Fingerprint of a call with erased content: differs from all others.
_ERASED: Final = ""


@dataclass(frozen=True, slots=True)
class IdempotentCall:
    """A call with an idempotency key."""

    scope: str
    key: str
    #: Keyed digest of the content: 64 hexadecimal digits.
    fingerprint: str
    #: Fingerprint in the form of the last release, while its rows are kept; None: the same form.
    former_fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Repeated:
    """The call was made before: the id of what it created."""

    reference: str


class KeyReusedError(Exception):
    """The key was used for a call with other content."""


class CallErasedError(KeyReusedError):
    """The key was used for a call with erased content, so the two cannot be compared."""


@dataclass(frozen=True, slots=True)
class KeyedCall:
    """A call, and the id of what it is about to create."""

    call: IdempotentCall
    reference: str
    at: datetime


def reserve(connection: Connection, calls: Sequence[KeyedCall]) -> list[Repeated | KeyReusedError | None]:
    """Reserves the keys of many calls at once, also of several calls with one key in the batch.

    Returns:
        For each call None if it is the first with its key; else what the first one created, or the error.
    """
    if not calls:
        return []
    # Each call has a reference of its own, so the stored one identifies the first call.
    rows = [
        {
            "scope": keyed.call.scope,
            "key": keyed.call.key,
            "fingerprint": keyed.call.fingerprint,
            "reference": keyed.reference,
            "created_at": keyed.at,
        }
        # In one order for all writers, so that two with the same keys cannot deadlock.
        for keyed in sorted(calls, key=_order)
    ]
    won = {row.reference for row in _RESERVE.rows(connection, *rows)}
    lost = [keyed for keyed in calls if keyed.reference not in won]
    if not lost:
        return [None] * len(calls)
    first = _recorded(connection, [keyed.call for keyed in lost])
    return [
        None if keyed.reference in won else _verdict(first[keyed.call.scope, keyed.call.key], keyed.call)
        for keyed in calls
    ]


def withdraw(connection: Connection, calls: Sequence[IdempotentCall]) -> None:
    """Gives back keys that were reserved in this transaction, for calls that are refused after all."""
    keys = [(call.scope, call.key) for call in calls]
    connection.execute(delete(IDEMPOTENCY).where(tuple_(IDEMPOTENCY.c.scope, IDEMPOTENCY.c.key).in_(keys)))


def look_up(connection: Connection, call: IdempotentCall) -> Repeated | KeyReusedError | None:
    """Result that `reserve` would have, without reserving the key; None: the key is unused."""
    row = _recorded(connection, [call]).get((call.scope, call.key))
    return None if row is None else _verdict(row, call)


def erase_content(connection: Connection, made: Mapping[str, datetime]) -> int:
    """Erases the fingerprints of calls; their keys stay reserved.

    Args:
        connection: in the transaction that erases what the calls created.
        made: reference and time of what each call created.

    Returns:
        Number of calls that had a key.
    """
    if not made:
        return 0
    # A key has the time of what its call created, so an index finds it.
    of_them = IDEMPOTENCY.c.created_at.in_(set(made.values())), IDEMPOTENCY.c.reference.in_(made)
    return connection.execute(update(IDEMPOTENCY).where(*of_them).values(fingerprint=_ERASED)).rowcount


def _order(keyed: KeyedCall) -> tuple[str, str]:
    return keyed.call.scope, keyed.call.key


def _recorded(connection: Connection, calls: Sequence[IdempotentCall]) -> dict[tuple[str, str], Any]:
    keys = [(call.scope, call.key) for call in calls]
    query = select(IDEMPOTENCY).where(tuple_(IDEMPOTENCY.c.scope, IDEMPOTENCY.c.key).in_(keys))
    return {(row.scope, row.key): row for row in connection.execute(query)}


def _verdict(row: Any, call: IdempotentCall) -> Repeated | KeyReusedError:
    if row.fingerprint == _ERASED:
        return CallErasedError(call.key)
    is_same = row.fingerprint in (call.fingerprint, call.former_fingerprint)
    return Repeated(row.reference) if is_same else KeyReusedError(call.key)


_RESERVE = DriverStatement(
    lambda dialect: insert_new_in(dialect, IDEMPOTENCY, IDEMPOTENCY.c.reference), whole=True
)
