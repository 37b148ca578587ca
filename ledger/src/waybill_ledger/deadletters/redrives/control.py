"""Starts, pauses, resumes and cancels redrives; a refused request gets the reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, func, select, update

from waybill_ledger.audit import AuditEntry, record
from waybill_ledger.deadletters import ItemState, LetterState, Phase, RedriveState
from waybill_ledger.schema import DEAD_LETTERS, REDRIVE_LETTERS, REDRIVES


@dataclass(frozen=True, slots=True)
class Start:
    """Request to start a redrive; the hash identifies the set of letters that was seen."""

    redrive_id: int
    hash: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Steer:
    """Request to pause, resume or cancel a redrive."""

    redrive_id: int
    action: str
    actor: str
    at: datetime
    reason: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a request was refused; nothing has changed."""

    code: str
    why: str


#: Allowed states of each action, and the state after it.
_STEPS: Final[dict[str, tuple[tuple[RedriveState, ...], RedriveState]]] = {
    "pause": ((RedriveState.RUNNING,), RedriveState.PAUSED),
    "resume": ((RedriveState.PAUSED, RedriveState.HALTED), RedriveState.RUNNING),
    "cancel": (
        (RedriveState.PLANNED, RedriveState.RUNNING, RedriveState.PAUSED, RedriveState.HALTED),
        RedriveState.CANCELLED,
    ),
}
#: Why the letters of a cancelled redrive were not sent.
CANCELLED: Final = "cancelled"


def start(connection: Connection, starts: Sequence[Start]) -> Sequence[Refused | None]:
    """Starts redrives; a batch write for `Records.write`. None: it runs."""
    return [_start(connection, each) for each in starts]


def steer(connection: Connection, steers: Sequence[Steer]) -> Sequence[Refused | None]:
    """Steers redrives; a batch write for `Records.write`. None: done."""
    return [_steer(connection, each) for each in steers]


def _start(connection: Connection, request: Start) -> Refused | None:
    row = _locked(connection, request.redrive_id)
    if row is None:
        return _unknown()
    if row.state != RedriveState.PLANNED:
        return _not_planned(row)
    if row.hash != request.hash:
        return Refused("hash_differs", "This is not the set of letters that you saw. Read the plan again.")
    # Locked in the order of their ids. Once they are locked, a redrive that started first is visible.
    if connection.dialect.name == "postgresql":
        connection.execute(
            select(DEAD_LETTERS.c.id)
            .where(DEAD_LETTERS.c.id.in_(_letters_of(request.redrive_id)))
            .order_by(DEAD_LETTERS.c.id)
            .with_for_update()
        )
    overlaps = _overlaps(connection, request.redrive_id)
    if overlaps:
        held = ", ".join(f"redrive {other} holds {count:,}" for other, count in overlaps)
        return Refused("overlaps", f"Other redrives have begun with letters of this one: {held}.")
    connection.execute(
        update(DEAD_LETTERS)
        .where(
            DEAD_LETTERS.c.id.in_(_letters_of(request.redrive_id)), DEAD_LETTERS.c.state == LetterState.DEAD
        )
        .values(redrive_id=request.redrive_id)
    )
    connection.execute(
        update(REDRIVES)
        .where(REDRIVES.c.id == request.redrive_id)
        .values(
            state=RedriveState.RUNNING,
            phase=Phase.CANARY if row.canary else Phase.FULL,
            started_at=request.at,
            started_by=request.actor,
            next_send_at=request.at,
        )
    )
    record(
        connection,
        [
            AuditEntry(
                request.at,
                request.actor,
                "start",
                request.redrive_id,
                letters=row.letters,
                details={"hash": request.hash},
                tenant=row.tenant,
            )
        ],
    )
    return None


def _not_planned(row: Any) -> Refused:
    if row.started_at is None:
        return Refused("wrong_state", f"The redrive is {row.state}: it cannot be started.")
    return Refused(
        "already_started",
        f"{row.started_by} started it at {row.started_at.isoformat(timespec='seconds')}; it is {row.state}.",
    )


def _overlaps(connection: Connection, redrive_id: int) -> list[tuple[int, int]]:
    """Other redrives that hold letters of this one, and the number of letters."""
    query = (
        select(DEAD_LETTERS.c.redrive_id, func.count())
        .where(DEAD_LETTERS.c.id.in_(_letters_of(redrive_id)), DEAD_LETTERS.c.redrive_id.is_not(None))
        .group_by(DEAD_LETTERS.c.redrive_id)
    )
    return [(row[0], row[1]) for row in connection.execute(query)]


def _steer(connection: Connection, request: Steer) -> Refused | None:
    row = _locked(connection, request.redrive_id)
    if row is None:
        return _unknown()
    sources, target = _STEPS[request.action]
    if row.state not in sources:
        wanted = ", ".join(sources)
        return Refused(
            "wrong_state", f"The redrive is {row.state}; {request.action} needs one that is {wanted}."
        )
    values: dict[str, Any] = {"state": target}
    if target is RedriveState.RUNNING:
        values["next_send_at"] = request.at
    if row.state == RedriveState.HALTED and target is RedriveState.RUNNING:
        # After a halt it begins with a canary again.
        values |= {
            "halted_because": None,
            "phase": Phase.CANARY if row.canary else Phase.FULL,
            "canary_from": _sent(connection, request.redrive_id),
        }
    if target is RedriveState.CANCELLED:
        _release_letters(connection, request)
        values["ended_at"] = request.at if not _on_their_way(connection, request.redrive_id) else None
    connection.execute(update(REDRIVES).where(REDRIVES.c.id == request.redrive_id).values(values))
    entry = AuditEntry(
        request.at,
        request.actor,
        request.action,
        request.redrive_id,
        reason=request.reason,
        tenant=row.tenant,
    )
    record(connection, [entry])
    return None


def _release_letters(connection: Connection, request: Steer) -> None:
    """Releases the letters that were not sent."""
    connection.execute(
        update(DEAD_LETTERS)
        .where(DEAD_LETTERS.c.redrive_id == request.redrive_id, DEAD_LETTERS.c.state == LetterState.DEAD)
        .values(redrive_id=None)
    )
    connection.execute(
        update(REDRIVE_LETTERS)
        .where(
            REDRIVE_LETTERS.c.redrive_id == request.redrive_id, REDRIVE_LETTERS.c.state == ItemState.WAITING
        )
        .values(state=ItemState.SKIPPED, skipped_because=CANCELLED, ended_at=request.at)
    )


def _sent(connection: Connection, redrive_id: int) -> int:
    """Number of letters that were sent so far."""
    query = select(func.count()).where(
        REDRIVE_LETTERS.c.redrive_id == redrive_id,
        REDRIVE_LETTERS.c.state.not_in((ItemState.WAITING, ItemState.SKIPPED)),
    )
    return connection.scalar(query) or 0


def _on_their_way(connection: Connection, redrive_id: int) -> bool:
    query = select(REDRIVE_LETTERS.c.letter_id).where(
        REDRIVE_LETTERS.c.redrive_id == redrive_id, REDRIVE_LETTERS.c.state == ItemState.SENT
    )
    return connection.execute(query.limit(1)).first() is not None


def _letters_of(redrive_id: int) -> Any:
    return select(REDRIVE_LETTERS.c.letter_id).where(REDRIVE_LETTERS.c.redrive_id == redrive_id)


def _locked(connection: Connection, redrive_id: int) -> Any:
    """The redrive, locked; None if it does not exist or is still being made."""
    row = connection.execute(
        select(REDRIVES).where(REDRIVES.c.id == redrive_id).with_for_update()
    ).one_or_none()
    return None if row is None or row.state == RedriveState.MAKING else row


def _unknown() -> Refused:
    return Refused("no_such_redrive", "There is no redrive with this number.")
