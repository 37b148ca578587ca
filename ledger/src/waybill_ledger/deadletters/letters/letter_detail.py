"""Letters in detail: payload, headers, traceback, and each redrive of the subtask with its outcome."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Connection, select

from waybill_contracts.registry import Registry
from waybill_ledger.access import redacted_payload
from waybill_ledger.deadletters.letters.queries import LetterFilter, conditions, with_effect
from waybill_ledger.schema import DEAD_LETTER_MESSAGES, DEAD_LETTERS, REDRIVE_LETTERS, owned_by


def letter_detail(
    connection: Connection, letter_id: int, *, registry: Registry, tenant: str | None = None
) -> dict[str, Any] | None:
    """One letter, or None; with a tenant, only if that tenant owns it."""
    query = with_effect().where(DEAD_LETTERS.c.id == letter_id, *owned_by(tenant, DEAD_LETTERS.c.tenant))
    found = _whole(connection, query, registry)
    return found[0] if found else None


def next_letter_details(
    connection: Connection, wanted: LetterFilter, *, registry: Registry, after: int, limit: int
) -> list[dict[str, Any]]:
    """Details of the next letters after the id `after`, oldest first."""
    query = (
        with_effect()
        .where(*conditions(wanted), DEAD_LETTERS.c.id > after)
        .order_by(DEAD_LETTERS.c.id)
        .limit(limit)
    )
    return _whole(connection, query, registry)


def message_of(connection: Connection, letter_id: int, *, tenant: str | None = None) -> Any:
    """Columns of a letter that a check needs; None: no such letter."""
    return connection.execute(
        select(
            DEAD_LETTERS.c.task_id,
            DEAD_LETTERS.c.service,
            DEAD_LETTERS.c.kind,
            DEAD_LETTERS.c.dataschema,
            DEAD_LETTER_MESSAGES.c.body,
        )
        .join(DEAD_LETTER_MESSAGES, DEAD_LETTER_MESSAGES.c.letter_id == DEAD_LETTERS.c.id)
        .where(DEAD_LETTERS.c.id == letter_id, *owned_by(tenant, DEAD_LETTERS.c.tenant))
    ).one_or_none()


def _whole(connection: Connection, query: Any, registry: Registry) -> list[dict[str, Any]]:
    letters = [row._asdict() for row in connection.execute(query)]
    if not letters:
        return []
    messages = _messages(connection, [letter["id"] for letter in letters])
    redrives = _redrives(connection, [letter["task_id"] for letter in letters if letter["task_id"]])
    return [
        letter
        | _message(letter, messages[letter["id"]], registry)
        | {"redrives": redrives.get((letter["task_id"], letter["service"]), [])}
        for letter in letters
    ]


def _messages(connection: Connection, ids: Sequence[int]) -> Mapping[int, Any]:
    query = select(DEAD_LETTER_MESSAGES).where(DEAD_LETTER_MESSAGES.c.letter_id.in_(ids))
    return {row.letter_id: row for row in connection.execute(query)}


def _message(letter: Mapping[str, Any], row: Any, registry: Registry) -> dict[str, Any]:
    payload, raw = _payload(registry.sensitive(letter["kind"]), row.body)
    return {
        "payload": payload,
        "body_base64": raw,
        "headers": row.headers,
        "properties": row.properties,
        "traceback": row.traceback,
    }


def _payload(sensitive: frozenset[str], body: bytes | None) -> tuple[Any, str | None]:
    """The body as JSON, or else in base64; without anything that may be sensitive."""
    if body is None:
        return None, None
    try:
        payload = from_json(body)
    except ValueError:
        return None, None if sensitive else base64.b64encode(body).decode()
    if sensitive and not isinstance(payload, dict):
        return None, None
    return redacted_payload(payload, sensitive), None


def _redrives(
    connection: Connection, task_ids: Sequence[str]
) -> Mapping[tuple[str, str], list[dict[str, Any]]]:
    """Redrives of each subtask, in order."""
    columns = REDRIVE_LETTERS.c
    query = (
        select(
            columns.redrive_id,
            columns.letter_id,
            columns.task_id,
            columns.service,
            columns.redrive_no,
            columns.edited.is_not(None).label("edited"),
            columns.state,
            columns.sent_at,
            columns.ended_at,
            columns.returned_as,
        )
        .join(DEAD_LETTERS, DEAD_LETTERS.c.id == columns.letter_id)
        .where(DEAD_LETTERS.c.task_id.in_(task_ids), columns.sent_at.is_not(None))
        .order_by(columns.redrive_no)
    )
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in connection.execute(query):
        about = row._asdict()
        key = (about.pop("task_id"), about.pop("service"))
        found.setdefault(key, []).append(about)
    return found
