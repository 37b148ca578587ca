"""The audit trail: who did what at the desk, erased or revealed what, when and why.

Rows are only ever added.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from waybill_ledger.listings.keyset_cursors import decoded, encoded
from waybill_ledger.schema.desk_tables import DESK_AUDIT
from waybill_ledger.schema.tenants import owned_by


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something that was done, as it is written down."""

    at: datetime
    actor: str
    action: str
    redrive_id: int | None = None
    group: str | None = None
    #: How many letters it concerned.
    letters: int | None = None
    reason: str | None = None
    details: dict[str, Any] | None = None
    #: Who may see it beside those who see everything.
    tenant: str | None = None
    #: The id of the task or schedule of which something was revealed.
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which deeds are wanted; what is None does not matter."""

    actor: str | None = None
    action: str | None = None
    #: Of whose letters they are; None: of everybody's.
    tenant: str | None = None
    redrive_id: int | None = None
    group: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some deeds with their numbers, the latest first, and the cursor of the next page if there is one."""

    deeds: list[tuple[int, AuditEntry]]
    next_cursor: str | None


def record(connection: Connection, deeds: Sequence[AuditEntry]) -> None:
    """Writes deeds down, in the transaction that does them."""
    if deeds:
        connection.execute(
            insert(DESK_AUDIT),
            [
                {
                    "at": deed.at,
                    "tenant": deed.tenant,
                    "actor": deed.actor,
                    "action": deed.action,
                    "redrive_id": deed.redrive_id,
                    "fingerprint": deed.group,
                    "letters": deed.letters,
                    "reason": deed.reason,
                    "details": deed.details,
                    "subject": deed.subject,
                }
                for deed in deeds
            ],
        )


def list_audit_entries(
    connection: Connection, wanted: AuditFilter, *, limit: int, cursor: str | None
) -> AuditPage:
    """A page of deeds.

    Raises:
        BadCursorError: `cursor` is none of ours.
    """
    columns = DESK_AUDIT.c
    query = select(DESK_AUDIT).where(*owned_by(wanted.tenant, columns.tenant))
    query = query.order_by(columns.seq.desc()).limit(limit + 1)
    for column, value in (
        (columns.actor, wanted.actor),
        (columns.action, wanted.action),
        (columns.redrive_id, wanted.redrive_id),
        (columns.fingerprint, wanted.group),
        (columns.subject, wanted.subject),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.since is not None:
        query = query.where(columns.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(columns.at < wanted.until)
    if cursor is not None:
        (last,) = decoded(cursor, int)
        query = query.where(columns.seq < last)
    rows = connection.execute(query).all()
    more = len(rows) > limit
    page = [
        (
            row.seq,
            AuditEntry(
                row.at,
                row.actor,
                row.action,
                row.redrive_id,
                row.fingerprint,
                row.letters,
                row.reason,
                row.details,
                row.tenant,
                row.subject,
            ),
        )
        for row in rows[:limit]
    ]
    return AuditPage(page, encoded(page[-1][0]) if more else None)
