"""Plans: collect and freeze letters, and compute what a redrive of them would do.

A plan is made in several short transactions, so that a large one does not block other writers. It is visible
after the last one; an unfinished plan is pruned.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, func, insert, literal, select, update

from waybill_contracts.wire import work_queue
from waybill_database import Records
from waybill_ledger.audit import AuditEntry, record
from waybill_ledger.deadletters import Effect, ItemState, LetterState, RedriveState, Verdict
from waybill_ledger.deadletters.letters import (
    EFFECT,
    LETTERS_AND_TASKS,
    ContractGate,
    LetterFilter,
    conditions,
    recheck_all,
)
from waybill_ledger.deadletters.redrives.edits import Edit
from waybill_ledger.deadletters.redrives.plan_edits import apply_edits
from waybill_ledger.schema import DEAD_LETTERS, REDRIVE_LETTERS, REDRIVES

#: Most letters in one transaction, which takes some hundredths of a second.
CHUNK: Final = 10_000
#: Most letters of a plan, and of a plan with edits, in which each payload is read, patched and checked.
MOST_LETTERS: Final = 200_000
MOST_EDITED: Final = 10_000
#: Most unfixable letters that a dry run lists; the listing of the plan has all.
MOST_NAMED: Final = 20


class NothingSelectedError(Exception):
    """The selection contains no dead letter that is in no redrive."""


class TooManyLettersError(Exception):
    """The selection has more letters than a plan may have."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"a plan of this type has at most {limit:,} letters")
        self.limit = limit


@dataclass(frozen=True, slots=True)
class NewRedrive:
    """Request to plan a redrive."""

    wanted: LetterFilter
    edits: Sequence[Edit]
    #: Letters a second.
    rate: float
    #: Letters that are sent first, until their outcomes are known; 0: no canary.
    canary: int
    note: str | None
    actor: str
    at: datetime
    #: `wanted` and `edits` as the caller sent them, for the audit trail.
    asked: dict[str, Any]
    #: Checks payloads and edits; its keys open them, and seal them again.
    gate: ContractGate


@dataclass(frozen=True, slots=True)
class _Collection:
    redrive_id: int
    wanted: LetterFilter
    after: int


@dataclass(frozen=True, slots=True)
class _Finished:
    redrive_id: int
    hash: str
    letters: int
    fingerprints: list[str]
    dry_run: dict[str, Any]
    entry: AuditEntry


async def make_redrive(records: Records, new: NewRedrive) -> int:
    """Makes a plan and returns its number. Nothing is sent.

    Raises:
        NothingSelectedError: no letter is selected; nothing is planned.
        TooManyLettersError: too many letters are selected; nothing is planned.
    """
    await recheck_all(records, new.gate, step=CHUNK)
    redrive_id = await records.write(_begin, new)
    most = MOST_EDITED if new.edits else MOST_LETTERS
    collected, after = 0, 0
    while True:
        more, after = await records.write(_collect, _Collection(redrive_id, new.wanted, after))
        collected += more
        if collected > most:
            raise TooManyLettersError(most)
        if more < CHUNK:
            break
    if not collected:
        raise NothingSelectedError
    await apply_edits(records, redrive_id, new.edits, new.gate)
    finished = await records.read(partial(_summarise, redrive_id=redrive_id, new=new))
    await records.write(_finish, finished)
    return redrive_id


def _begin(connection: Connection, plans: Sequence[NewRedrive]) -> Sequence[int]:
    return [
        connection.scalars(
            insert(REDRIVES).returning(REDRIVES.c.id),
            {
                "tenant": new.wanted.tenant,
                "state": RedriveState.MAKING,
                "note": new.note,
                "selection": {k: v for k, v in new.asked.items() if k != "edits"},
                "edits": new.asked.get("edits", []),
                "rate": new.rate,
                "canary": new.canary,
                "canary_from": 0,
                "letters": 0,
                "fingerprints": [],
                "created_at": new.at,
                "created_by": new.actor,
            },
        ).one()
        for new in plans
    ]


def _collect(connection: Connection, collections: Sequence[_Collection]) -> Sequence[tuple[int, int]]:
    return [_collect_one(connection, collection) for collection in collections]


def _collect_one(connection: Connection, collection: _Collection) -> tuple[int, int]:
    letters = (
        select(
            literal(collection.redrive_id),
            DEAD_LETTERS.c.id,
            DEAD_LETTERS.c.version,
            DEAD_LETTERS.c.task_id,
            DEAD_LETTERS.c.service,
            DEAD_LETTERS.c.verdict,
            EFFECT,
            literal(ItemState.WAITING.value),
        )
        .select_from(LETTERS_AND_TASKS)
        .where(
            *conditions(collection.wanted),
            DEAD_LETTERS.c.state == LetterState.DEAD,
            DEAD_LETTERS.c.redrive_id.is_(None),
            DEAD_LETTERS.c.id > collection.after,
        )
        .order_by(DEAD_LETTERS.c.id)
        .limit(CHUNK)
    )
    collect = insert(REDRIVE_LETTERS).from_select(_COLLECTED, letters)
    # Without this option the number of inserted rows is unknown (-1) on PostgreSQL.
    more = connection.execute(collect, execution_options={"preserve_rowcount": True}).rowcount
    of_plan = select(func.max(REDRIVE_LETTERS.c.letter_id)).where(
        REDRIVE_LETTERS.c.redrive_id == collection.redrive_id
    )
    return more, connection.scalar(of_plan) or 0


def _summarise(connection: Connection, redrive_id: int, new: NewRedrive) -> _Finished:
    hash_, letters = _hash(connection, redrive_id)
    fingerprints = connection.scalars(
        select(DEAD_LETTERS.c.fingerprint)
        .distinct()
        .join(REDRIVE_LETTERS, REDRIVE_LETTERS.c.letter_id == DEAD_LETTERS.c.id)
        .where(REDRIVE_LETTERS.c.redrive_id == redrive_id)
    ).all()
    details = {"hash": hash_, **new.asked, "rate": new.rate, "canary": new.canary}
    group = fingerprints[0] if len(fingerprints) == 1 else None
    entry = AuditEntry(
        new.at, new.actor, "plan", redrive_id, group, letters, new.note, details, new.wanted.tenant
    )
    dry_run = _dry_run(connection, redrive_id, new.rate)
    return _Finished(redrive_id, hash_, letters, list(fingerprints), dry_run, entry)


def _hash(connection: Connection, redrive_id: int) -> tuple[str, int]:
    """SHA-256 over each letter, its version and its edit; and the number of letters."""
    columns = REDRIVE_LETTERS.c
    query = (
        select(columns.letter_id, columns.letter_version, columns.edited)
        .where(columns.redrive_id == redrive_id)
        .order_by(columns.letter_id)
        .execution_options(yield_per=CHUNK)
    )
    content, letters = hashlib.sha256(), 0
    for letter_id, version, body in connection.execute(query):
        edit = "" if body is None else hashlib.sha256(body).hexdigest()
        content.update(f"{letter_id}:{version}:{edit}\n".encode())
        letters += 1
    return content.hexdigest(), letters


def _dry_run(connection: Connection, redrive_id: int, rate: float) -> dict[str, Any]:
    columns = REDRIVE_LETTERS.c
    sorts = (columns.verdict, columns.effect, columns.service, columns.edited.is_not(None).label("is_edited"))
    query = select(*sorts, func.count().label("n")).where(columns.redrive_id == redrive_id).group_by(*sorts)
    verdicts: Counter[str] = Counter({each.value: 0 for each in Verdict})
    effects: Counter[str] = Counter({each.value: 0 for each in Effect})
    destinations: Counter[str] = Counter()
    edited = 0
    for row in connection.execute(query):
        verdicts[row.verdict] += row.n
        effects[row.effect] += row.n
        edited += row.n if row.is_edited else 0
        if row.verdict != Verdict.UNFIXABLE and not Effect(row.effect).is_skipped:
            destinations[work_queue(row.service)] += row.n
    will_run = destinations.total()
    return {
        "verdicts": dict(verdicts),
        "effects": dict(effects),
        "will_run": will_run,
        "will_skip": verdicts.total() - will_run,
        "edited": edited,
        "destinations": dict(destinations),
        "seconds": round(will_run / rate, 1),
        "unfixable": _unfixable(connection, redrive_id),
    }


def _unfixable(connection: Connection, redrive_id: int) -> list[dict[str, Any]]:
    columns = REDRIVE_LETTERS.c
    query = (
        select(columns.letter_id, func.coalesce(columns.errors, DEAD_LETTERS.c.errors).label("errors"))
        .join(DEAD_LETTERS, DEAD_LETTERS.c.id == columns.letter_id)
        .where(columns.redrive_id == redrive_id, columns.verdict == Verdict.UNFIXABLE)
        .order_by(columns.letter_id)
        .limit(MOST_NAMED)
    )
    return [{"letter": row.letter_id, "errors": row.errors or []} for row in connection.execute(query)]


def _finish(connection: Connection, plans: Sequence[_Finished]) -> Sequence[None]:
    for plan in plans:
        connection.execute(
            update(REDRIVES)
            .where(REDRIVES.c.id == plan.redrive_id)
            .values(
                state=RedriveState.PLANNED,
                hash=plan.hash,
                letters=plan.letters,
                fingerprints=plan.fingerprints,
                dry_run=plan.dry_run,
            )
        )
    record(connection, [plan.entry for plan in plans])
    return [None] * len(plans)


_COLLECTED: Final = (
    "redrive_id",
    "letter_id",
    "letter_version",
    "task_id",
    "service",
    "verdict",
    "effect",
    "state",
)
