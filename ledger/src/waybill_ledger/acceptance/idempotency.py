"""Idempotency keys: a call that is repeated with its key is answered as the first time.

Source: IETF draft "The Idempotency-Key HTTP Header Field" (draft-ietf-httpapi-idempotency-key-header).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select, tuple_, update

from waybill_database import insert_new
from waybill_ledger.schema.tables import IDEMPOTENCY

#: In the place of a call's fingerprint: like none of any content.
_FORGOTTEN: Final = ""


@dataclass(frozen=True, slots=True)
class IdempotentCall:
    """A call that carries a key."""

    scope: str
    key: str
    #: The same for calls of the same content, and tells nobody what it is: 64 hexadecimal digits.
    fingerprint: str
    #: As the last release made it, while its rows are kept; None: alike.
    former_fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Repeated:
    """The same call was made before: what it made then."""

    reference: str


class KeyReusedError(Exception):
    """The key was given to a call with other content."""


class CallErasedError(KeyReusedError):
    """The key was given to a call whose content was erased: nobody can tell whether this is the same."""


@dataclass(frozen=True, slots=True)
class KeyedCall:
    """A call, and what it is about to make."""

    call: IdempotentCall
    reference: str
    at: datetime


def reserve(connection: Connection, calls: Sequence[KeyedCall]) -> list[Repeated | KeyReusedError | None]:
    """Takes the keys of many calls at once; also tells apart two with the same key in one batch.

    Returns:
        For each call None if it is the first with its key, else what the first one made, or the complaint.
    """
    if not calls:
        return []
    # A reference is made for one call only, so it tells which of several calls came first.
    won = set(
        connection.scalars(
            insert_new(connection, IDEMPOTENCY, IDEMPOTENCY.c.reference),
            [
                {
                    "scope": keyed.call.scope,
                    "key": keyed.call.key,
                    "fingerprint": keyed.call.fingerprint,
                    "reference": keyed.reference,
                    "created_at": keyed.at,
                }
                # In one order for all: two writers with the same keys must not wait for each other.
                for keyed in sorted(calls, key=_order)
            ],
        )
    )
    lost = [keyed for keyed in calls if keyed.reference not in won]
    if not lost:
        return [None] * len(calls)
    first = _recorded(connection, [keyed.call for keyed in lost])
    return [
        None if keyed.reference in won else _verdict(first[keyed.call.scope, keyed.call.key], keyed.call)
        for keyed in calls
    ]


def look_up(connection: Connection, call: IdempotentCall) -> Repeated | KeyReusedError | None:
    """What `reserve` would answer, but the key is not taken: None if no call has used it."""
    row = _recorded(connection, [call]).get((call.scope, call.key))
    return None if row is None else _verdict(row, call)


def forget_content(connection: Connection, made: Mapping[str, datetime]) -> int:
    """Forgets what calls were about; their keys stay taken.

    Args:
        connection: the transaction in which what they made is erased.
        made: what each of them made, and when.

    Returns:
        How many calls had a key.
    """
    if not made:
        return 0
    # A key is taken in the very moment; so an index finds it.
    of_them = IDEMPOTENCY.c.created_at.in_(set(made.values())), IDEMPOTENCY.c.reference.in_(made)
    return connection.execute(update(IDEMPOTENCY).where(*of_them).values(fingerprint=_FORGOTTEN)).rowcount


def _order(keyed: KeyedCall) -> tuple[str, str]:
    return keyed.call.scope, keyed.call.key


def _recorded(connection: Connection, calls: Sequence[IdempotentCall]) -> dict[tuple[str, str], Any]:
    keys = [(call.scope, call.key) for call in calls]
    query = select(IDEMPOTENCY).where(tuple_(IDEMPOTENCY.c.scope, IDEMPOTENCY.c.key).in_(keys))
    return {(row.scope, row.key): row for row in connection.execute(query)}


def _verdict(row: Any, call: IdempotentCall) -> Repeated | KeyReusedError:
    if row.fingerprint == _FORGOTTEN:
        return CallErasedError(call.key)
    is_same = row.fingerprint in (call.fingerprint, call.former_fingerprint)
    return Repeated(row.reference) if is_same else KeyReusedError(call.key)
