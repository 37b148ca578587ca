"""Idempotency keys: a call that is repeated with its key is answered as the first time.

Source: IETF draft "The Idempotency-Key HTTP Header Field" (draft-ietf-httpapi-idempotency-key-header).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, tuple_

from database import insert_new
from ledger.schema import IDEMPOTENCY


@dataclass(frozen=True, slots=True)
class IdempotentCall:
    """A call that carries a key."""

    scope: str
    key: str
    #: SHA-256 of the call's content, in hexadecimal.
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Repeated:
    """The same call was made before: what it made then."""

    reference: str


class KeyReusedError(Exception):
    """The key was given to a call with other content."""


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
            insert_new(connection, IDEMPOTENCY).returning(IDEMPOTENCY.c.reference),
            [
                {
                    "scope": keyed.call.scope,
                    "key": keyed.call.key,
                    "fingerprint": keyed.call.fingerprint,
                    "reference": keyed.reference,
                    "created_at": keyed.at,
                }
                for keyed in calls
            ],
        )
    )
    lost = [keyed for keyed in calls if keyed.reference not in won]
    if not lost:
        return [None] * len(calls)
    pairs = [(keyed.call.scope, keyed.call.key) for keyed in lost]
    first = {
        (row.scope, row.key): row
        for row in connection.execute(
            select(IDEMPOTENCY).where(tuple_(IDEMPOTENCY.c.scope, IDEMPOTENCY.c.key).in_(pairs))
        )
    }
    return [
        None if keyed.reference in won else _verdict(keyed.call, first[keyed.call.scope, keyed.call.key])
        for keyed in calls
    ]


def recall(connection: Connection, call: IdempotentCall) -> Repeated | KeyReusedError | None:
    """What is known of a call's key, without taking it; None if it is new."""
    row = connection.execute(
        select(IDEMPOTENCY).where(IDEMPOTENCY.c.scope == call.scope, IDEMPOTENCY.c.key == call.key)
    ).one_or_none()
    return None if row is None else _verdict(call, row)


def _verdict(call: IdempotentCall, first: Row[Any]) -> Repeated | KeyReusedError:
    return Repeated(first.reference) if first.fingerprint == call.fingerprint else KeyReusedError(call.key)
