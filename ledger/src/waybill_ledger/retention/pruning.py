"""Forgetting finished tasks when their time is over, in small steps, and what goes with them.

A step walks along the ids of one state's tasks, which are in the order of their creation. So a pass needs no
index of its own, and a step is short whatever it finds. What is never forgotten: a task without outcome, one
with something in the outbox, and one with a dead letter that somebody may still want.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, delete, exists, func, or_, select, tuple_

from waybill_contracts.wire.states import State
from waybill_database import from_microseconds, insert_adding, microseconds
from waybill_ledger.acceptance.originals import leave_originals
from waybill_ledger.audit.trail import AuditEntry, record
from waybill_ledger.deadletters.letters.pruning import forget_settled, has_wanted_letter
from waybill_ledger.progress.states import FINISHED
from waybill_ledger.schema.tables import (
    IDEMPOTENCY,
    OUTBOX,
    PASSWORD_RESETS,
    PRUNED,
    PRUNED_OF_TENANTS,
    TASKS,
)
from waybill_ledger.schema.tenants import DEFAULT_TENANT

#: Days that a failed task is kept at the least: so long its letter may wait for a desk that is away, and a
#: letter without a task is never redriven.
LEAST_DAYS_FAILED: Final = 3


@dataclass(frozen=True, slots=True)
class PruneStep:
    """A wish to forget tasks of one state that ended before a time."""

    state: State
    ended_before: datetime
    now: datetime
    #: Tasks that are looked at, and so the most that are forgotten.
    most: int
    #: Where the last step ended; empty: begin with the oldest.
    after: str = ""
    #: Who asked for it; None: nobody, their time is over.
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class PrunedStep:
    """What a step came to."""

    #: Tasks that were forgotten, or would be.
    tasks: int
    #: Tasks that are old enough and are kept all the same.
    kept: int
    #: Where the next step begins; None: there is nothing more to look at.
    after: str | None


@dataclass(frozen=True, slots=True)
class PruneKeys:
    """A wish to forget idempotency keys that were taken, and reset tokens that ran out, before a time."""

    before: datetime
    #: Of each, so many are looked at.
    most: int
    #: Where the last step ended; empty: begin with the oldest.
    after: str = ""


@dataclass(frozen=True, slots=True)
class PrunedKeys:
    """What a step came to."""

    #: Keys and tokens that were forgotten.
    forgotten: int
    #: Where the next step begins; None: there is nothing more to look at.
    after: str | None


def prune_tasks(connection: Connection, steps: Sequence[PruneStep]) -> Sequence[PrunedStep]:
    """Forgets tasks with all that belongs to them; a batch write for `Records.write`.

    Subtasks, timeline and redriven payloads go with the task's row. What became of the task is counted in the
    same transaction, and its files are left to whoever removes what is not in use. What somebody asked for is
    written down in the audit trail.
    """
    return [_prune(connection, step) for step in steps]


def would_prune(connection: Connection, step: PruneStep) -> PrunedStep:
    """What `prune_tasks` would do; takes no lock and changes nothing."""
    looked_at = _looked_at(connection, step)
    old = _old(looked_at, step)
    found = connection.scalar(select(func.count()).select_from(_prunable(old, step).subquery())) or 0
    return PrunedStep(found, len(old) - found, _next(looked_at, step))


def prune_keys(connection: Connection, wishes: Sequence[PruneKeys]) -> Sequence[PrunedKeys]:
    """Forgets idempotency keys and reset tokens; a batch write for `Records.write`.

    The key of a task that has no outcome yet stays, however old: a repeat of the call must not make another.
    """
    return [_prune_keys(connection, wish) for wish in wishes]


def _prune(connection: Connection, step: PruneStep) -> PrunedStep:
    looked_at = _looked_at(connection, step)
    old = _old(looked_at, step)
    # A task that is locked is being redriven or merged: the next pass looks at it again.
    tasks = connection.execute(_prunable(old, step).with_for_update(skip_locked=True, of=TASKS)).all()
    if tasks:
        ids = [task.id for task in tasks]
        leave_originals(connection, ids, step.now)
        forget_settled(connection, ids)
        _count_in(connection, tasks, step.state)
        connection.execute(delete(TASKS).where(TASKS.c.id.in_(ids)))
        if step.actor is not None:
            record(connection, [_deed(step, step.actor, len(ids))])
    return PrunedStep(len(tasks), len(old) - len(tasks), _next(looked_at, step))


def _looked_at(connection: Connection, step: PruneStep) -> Sequence[Any]:
    columns = (TASKS.c.id, TASKS.c.created_at, TASKS.c.completed_at)
    along = select(*columns).where(TASKS.c.state == step.state, TASKS.c.id > step.after).order_by(TASKS.c.id)
    return connection.execute(along.limit(step.most)).all()


def _old(looked_at: Sequence[Any], step: PruneStep) -> list[str]:
    return [
        row.id for row in looked_at if row.completed_at is not None and row.completed_at < step.ended_before
    ]


def _next(looked_at: Sequence[Any], step: PruneStep) -> str | None:
    # Whatever follows a task that was accepted later than that has ended later, too.
    if len(looked_at) < step.most or looked_at[-1].created_at >= step.ended_before:
        return None
    return str(looked_at[-1].id)


def _prunable(ids: Sequence[str], step: PruneStep) -> Any:
    waits = exists().where(OUTBOX.c.task_id == TASKS.c.id).correlate(TASKS)
    return (
        select(TASKS.c.id, TASKS.c.tenant, TASKS.c.kind, TASKS.c.created_at)
        .where(
            TASKS.c.id.in_(ids),
            # Once more: it may have been redriven since it was looked at.
            TASKS.c.state == step.state,
            TASKS.c.completed_at < step.ended_before,
            ~waits,
            ~has_wanted_letter(),
        )
        .order_by(TASKS.c.id)
    )


def _deed(step: PruneStep, actor: str, tasks: int) -> AuditEntry:
    details = {"tasks": tasks, "state": step.state.value, "ended_before": step.ended_before.isoformat()}
    return AuditEntry(step.now, actor, "prune", details=details)


def _count_in(connection: Connection, tasks: Sequence[Any], state: State) -> None:
    counted = Counter((_day(task.created_at), task.tenant, task.kind) for task in tasks)
    rows = [
        {"day": day, "tenant": tenant, "kind": kind, "state": state, "tasks": number}
        for (day, tenant, kind), number in sorted(counted.items())
    ]
    own = [{k: v for k, v in row.items() if k != "tenant"} for row in rows if row["tenant"] == DEFAULT_TENANT]
    others = [row for row in rows if row["tenant"] != DEFAULT_TENANT]
    for table, counts in ((PRUNED, own), (PRUNED_OF_TENANTS, others)):
        if counts:
            connection.execute(insert_adding(connection, table.c.tasks), counts)


def _day(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _prune_keys(connection: Connection, wish: PruneKeys) -> PrunedKeys:
    place = (IDEMPOTENCY.c.created_at, IDEMPOTENCY.c.scope, IDEMPOTENCY.c.key)
    looked_at = connection.execute(
        select(*place, IDEMPOTENCY.c.reference)
        .where(IDEMPOTENCY.c.created_at < wish.before, *_behind(wish.after))
        .order_by(*place)
        .limit(wish.most)
    ).all()
    references = [row.reference for row in looked_at]
    is_open = TASKS.c.id.in_(references), TASKS.c.state.not_in(FINISHED)
    still_open = set(connection.scalars(select(TASKS.c.id).where(*is_open)))
    old = [(row.scope, row.key) for row in looked_at if row.reference not in still_open]
    connection.execute(delete(IDEMPOTENCY).where(tuple_(IDEMPOTENCY.c.scope, IDEMPOTENCY.c.key).in_(old)))
    expired = select(PASSWORD_RESETS.c.token_hash).where(PASSWORD_RESETS.c.expires_at < wish.before)
    tokens = connection.execute(
        delete(PASSWORD_RESETS).where(
            PASSWORD_RESETS.c.token_hash.in_(expired.order_by(PASSWORD_RESETS.c.expires_at).limit(wish.most))
        )
    ).rowcount
    after = wish.after
    if looked_at:
        last = looked_at[-1]
        after = json.dumps([microseconds(last.created_at), last.scope, last.key])
    is_done = len(looked_at) < wish.most and tokens < wish.most
    return PrunedKeys(len(old) + tokens, None if is_done else after)


def _behind(after: str) -> list[ColumnElement[bool]]:
    if not after:
        return []
    at, scope, key = json.loads(after)
    created_at = from_microseconds(at)
    later = or_(
        IDEMPOTENCY.c.created_at > created_at,
        tuple_(IDEMPOTENCY.c.scope, IDEMPOTENCY.c.key) > (scope, key),
    )
    # Said by itself, so that the index finds where to begin.
    return [IDEMPOTENCY.c.created_at >= created_at, later]
