"""The audit trail: who changed, erased or revealed what, when and why.

Rows are only added, never changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from waybill_ledger.listings import decoded_key, encoded_key
from waybill_ledger.schema import DESK_AUDIT, owned_by


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One action, as the trail records it."""

    at: datetime
    actor: str
    action: str
    redrive_id: int | None = None
    group: str | None = None
    #: Number of dead letters concerned.
    letters: int | None = None
    reason: str | None = None
    details: dict[str, Any] | None = None
    #: Tenant that may see it; None: only callers that see all tenants.
    tenant: str | None = None
    #: Id of the task or schedule that was revealed.
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Conditions on audit entries; None: no condition."""

    actor: str | None = None
    action: str | None = None
    #: Owning tenant; None: all tenants.
    tenant: str | None = None
    redrive_id: int | None = None
    group: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Audit entries with their numbers, latest first; the cursor of the next page, or None."""

    entries: list[tuple[int, AuditEntry]]
    next_cursor: str | None


def record(connection: Connection, entries: Sequence[AuditEntry]) -> None:
    """Adds entries, in the transaction of the actions."""
    if entries:
        connection.execute(
            insert(DESK_AUDIT),
            [
                {
                    "at": entry.at,
                    "tenant": entry.tenant,
                    "actor": entry.actor,
                    "action": entry.action,
                    "redrive_id": entry.redrive_id,
                    "fingerprint": entry.group,
                    "letters": entry.letters,
                    "reason": entry.reason,
                    "details": entry.details,
                    "subject": entry.subject,
                }
                for entry in entries
            ],
        )


def list_audit_entries(
    connection: Connection, wanted: AuditFilter, *, limit: int, cursor: str | None
) -> AuditPage:
    """A page of audit entries.

    Raises:
        BadCursorError: `cursor` was not issued by this listing.
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
        (last,) = decoded_key(cursor, int)
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
    return AuditPage(page, encoded_key(page[-1][0]) if more else None)
