"""Queries for redrives: one, a page, and the letters of one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from waybill_ledger.deadletters import Effect, ItemState, Phase, RedriveState, Verdict
from waybill_ledger.deadletters.redrives.progress import Progress, progress_of
from waybill_ledger.listings import decoded_key, encoded_key
from waybill_ledger.schema import DEAD_LETTERS, REDRIVE_LETTERS, REDRIVES, owned_by


@dataclass(frozen=True, slots=True)
class Redrive:
    """A redrive, as read from the ledger."""

    id: int
    state: RedriveState
    phase: Phase | None
    hash: str
    note: str | None
    selection: dict[str, Any]
    edits: list[dict[str, Any]]
    rate: float
    canary: int
    letters: int
    dry_run: dict[str, Any]
    created_at: datetime
    created_by: str
    started_at: datetime | None
    started_by: str | None
    ended_at: datetime | None
    halted_because: str | None
    progress: Progress


@dataclass(frozen=True, slots=True)
class RedrivePage:
    """Redrives, latest first; the cursor of the next page, or None."""

    redrives: list[Redrive]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Conditions on letters of a redrive; None: no condition."""

    state: ItemState | None = None
    verdict: Verdict | None = None
    effect: Effect | None = None


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Letters of a redrive, in the order of sending; the cursor of the next page, or None."""

    items: list[dict[str, Any]]
    next_cursor: str | None


def get_redrive(connection: Connection, redrive_id: int, *, tenant: str | None = None) -> Redrive | None:
    """One redrive; None if it does not exist, another tenant owns it, or it is still being made."""
    query = select(REDRIVES).where(REDRIVES.c.id == redrive_id, REDRIVES.c.state != RedriveState.MAKING)
    row = connection.execute(query.where(*owned_by(tenant, REDRIVES.c.tenant))).one_or_none()
    return None if row is None else _redrive(connection, row)


def list_redrives(
    connection: Connection,
    *,
    state: RedriveState | None,
    limit: int,
    cursor: str | None,
    tenant: str | None = None,
) -> RedrivePage:
    """A page of redrives, of one tenant or all.

    Raises:
        BadCursorError: `cursor` was not issued by this listing.
    """
    query = (
        select(REDRIVES)
        .where(REDRIVES.c.state != RedriveState.MAKING, *owned_by(tenant, REDRIVES.c.tenant))
        .order_by(REDRIVES.c.id.desc())
        .limit(limit + 1)
    )
    if state is not None:
        query = query.where(REDRIVES.c.state == state)
    if cursor is not None:
        (last,) = decoded_key(cursor, int)
        query = query.where(REDRIVES.c.id < last)
    rows = connection.execute(query).all()
    page = [_redrive(connection, row) for row in rows[:limit]]
    return RedrivePage(page, encoded_key(page[-1].id) if len(rows) > limit else None)


def list_items(
    connection: Connection, redrive_id: int, wanted: ItemFilter, *, limit: int, cursor: str | None
) -> ItemPage:
    """A page of a redrive's letters.

    Raises:
        BadCursorError: `cursor` was not issued by this listing.
    """
    columns = REDRIVE_LETTERS.c
    query = (
        select(
            columns.letter_id.label("letter"),
            columns.task_id,
            columns.service,
            columns.verdict,
            columns.effect,
            func.coalesce(columns.errors, DEAD_LETTERS.c.errors).label("errors"),
            columns.edited.is_not(None).label("edited"),
            columns.state,
            columns.skipped_because,
            columns.redrive_no,
            columns.sent_at,
            columns.ended_at,
            columns.returned_as,
        )
        .outerjoin(DEAD_LETTERS, DEAD_LETTERS.c.id == columns.letter_id)
        .where(columns.redrive_id == redrive_id)
        .order_by(columns.letter_id)
        .limit(limit + 1)
    )
    for column, value in (
        (columns.state, wanted.state),
        (columns.verdict, wanted.verdict),
        (columns.effect, wanted.effect),
    ):
        if value is not None:
            query = query.where(column == value)
    if cursor is not None:
        (last,) = decoded_key(cursor, int)
        query = query.where(columns.letter_id > last)
    rows = [row._asdict() for row in connection.execute(query)]
    page = [
        row | {"errors": row["errors"] if row["verdict"] == Verdict.UNFIXABLE else None}
        for row in rows[:limit]
    ]
    return ItemPage(page, encoded_key(page[-1]["letter"]) if len(rows) > limit else None)


def _redrive(connection: Connection, row: Any) -> Redrive:
    return Redrive(
        id=row.id,
        state=RedriveState(row.state),
        phase=None if row.phase is None else Phase(row.phase),
        hash=row.hash,
        note=row.note,
        selection=row.selection,
        edits=row.edits,
        rate=row.rate,
        canary=row.canary,
        letters=row.letters,
        dry_run=row.dry_run,
        created_at=row.created_at,
        created_by=row.created_by,
        started_at=row.started_at,
        started_by=row.started_by,
        ended_at=row.ended_at,
        halted_because=row.halted_because,
        progress=progress_of(connection, row.id),
    )
