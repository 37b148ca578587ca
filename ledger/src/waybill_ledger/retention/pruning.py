"""Pruning: deletes finished tasks after their retention time, with everything that belongs to them.

A step scans the tasks of one state by id, which is the order of their creation. So a pass needs no index of
its own, and a step is short whatever it finds. Never pruned: a task without an outcome, one with a row in the
outbox, and one with a dead letter that is open or can be restored.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, delete, exists, func, or_, select, tuple_

from waybill_contracts.states import State
from waybill_database import from_microseconds, insert_adding, microseconds
from waybill_ledger.audit import AuditEntry, record
from waybill_ledger.deadletters.letters import delete_settled, has_wanted_letter
from waybill_ledger.files import release_files
from waybill_ledger.progress import FINISHED
from waybill_ledger.schema import (
    DEFAULT_TENANT,
    IDEMPOTENCY,
    OUTBOX,
    PASSWORD_RESETS,
    PRUNED,
    PRUNED_OF_TENANTS,
    TASKS,
)

#: Least days that a failed task is kept: its letter may wait so long while the desk is down, and a letter
#: without a task is never redriven.
LEAST_DAYS_FAILED: Final = 3


@dataclass(frozen=True, slots=True)
class PruneStep:
    """Request to prune tasks of one state that ended before a time."""

    state: State
    ended_before: datetime
    now: datetime
    #: Most tasks to examine.
    most: int
    #: Where the last step ended; empty: begin with the oldest.
    after: str = ""
    #: Who requested it; None: the retention time is over.
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class PrunedStep:
    """Result of a step."""

    #: Number of tasks that were pruned, or would be.
    tasks: int
    #: Number of tasks that are old enough, but kept.
    kept: int
    #: Where the next step begins; None: all are done.
    after: str | None


@dataclass(frozen=True, slots=True)
class PruneKeys:
    """Request to delete idempotency keys from before a time, and reset tokens that expired before it."""

    before: datetime
    #: Most rows of each table to examine.
    most: int
    #: Where the last step ended; empty: begin with the oldest.
    after: str = ""


@dataclass(frozen=True, slots=True)
class PrunedKeys:
    """Result of a step."""

    #: Number of deleted keys and tokens.
    deleted: int
    #: Where the next step begins; None: all are done.
    after: str | None


def prune_tasks(connection: Connection, steps: Sequence[PruneStep]) -> Sequence[PrunedStep]:
    """Prunes tasks with everything that belongs to them; a batch write for `Records.write`.

    Subtasks, timeline and redriven payloads are deleted with the row of the task. The same transaction counts
    the outcomes. The collector of unused files removes the files. Prunings on request are recorded in the
    audit trail.
    """
    return [_prune(connection, step) for step in steps]


def would_prune(connection: Connection, step: PruneStep) -> PrunedStep:
    """Result that `prune_tasks` would have; takes no lock and changes nothing."""
    looked_at = _looked_at(connection, step)
    old = _old(looked_at, step)
    found = connection.scalar(select(func.count()).select_from(_prunable(old, step).subquery())) or 0
    return PrunedStep(found, len(old) - found, _next(looked_at, step))


def prune_keys(connection: Connection, requests: Sequence[PruneKeys]) -> Sequence[PrunedKeys]:
    """Deletes idempotency keys and reset tokens; a batch write for `Records.write`.

    The key of a task without an outcome is kept, however old: a repeated call must not create another task.
    """
    return [_prune_keys(connection, request) for request in requests]


def _prune(connection: Connection, step: PruneStep) -> PrunedStep:
    looked_at = _looked_at(connection, step)
    old = _old(looked_at, step)
    # A locked task is being redriven or merged: the next pass examines it again.
    tasks = connection.execute(_prunable(old, step).with_for_update(skip_locked=True, of=TASKS)).all()
    if tasks:
        ids = [task.id for task in tasks]
        release_files(connection, ids, step.now)
        delete_settled(connection, ids)
        _count_in(connection, tasks, step.state)
        connection.execute(delete(TASKS).where(TASKS.c.id.in_(ids)))
        if step.actor is not None:
            record(connection, [_audit_entry(step, step.actor, len(ids))])
    return PrunedStep(len(tasks), len(old) - len(tasks), _next(looked_at, step))


def _looked_at(connection: Connection, step: PruneStep) -> Sequence[Any]:
    columns = (TASKS.c.id, TASKS.c.created_at, TASKS.c.completed_at, TASKS.c.parent_id)
    along = select(*columns).where(TASKS.c.state == step.state, TASKS.c.id > step.after).order_by(TASKS.c.id)
    return connection.execute(along.limit(step.most)).all()


def _old(looked_at: Sequence[Any], step: PruneStep) -> list[str]:
    return [
        row.id for row in looked_at if row.completed_at is not None and row.completed_at < step.ended_before
    ]


def _next(looked_at: Sequence[Any], step: PruneStep) -> str | None:
    if len(looked_at) < step.most:
        return None
    last = looked_at[-1]
    # All following tasks were accepted later than this one, and have ended later, too. That does not follow
    # from a spawned task: its id has the time of its parent.
    has_ended_too_late = last.parent_id is None and last.created_at >= step.ended_before
    return None if has_ended_too_late else str(last.id)


def _prunable(ids: Sequence[str], step: PruneStep) -> Any:
    waits = exists().where(OUTBOX.c.task_id == TASKS.c.id).correlate(TASKS)
    return (
        select(TASKS.c.id, TASKS.c.tenant, TASKS.c.kind, TASKS.c.created_at)
        .where(
            TASKS.c.id.in_(ids),
            # Checked again: it may have been redriven since it was read.
            TASKS.c.state == step.state,
            TASKS.c.completed_at < step.ended_before,
            ~waits,
            ~has_wanted_letter(),
        )
        .order_by(TASKS.c.id)
    )


def _audit_entry(step: PruneStep, actor: str, tasks: int) -> AuditEntry:
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


def _prune_keys(connection: Connection, request: PruneKeys) -> PrunedKeys:
    place = (IDEMPOTENCY.c.created_at, IDEMPOTENCY.c.scope, IDEMPOTENCY.c.key)
    looked_at = connection.execute(
        select(*place, IDEMPOTENCY.c.reference)
        .where(IDEMPOTENCY.c.created_at < request.before, *_behind(request.after))
        .order_by(*place)
        .limit(request.most)
    ).all()
    references = [row.reference for row in looked_at]
    is_open = TASKS.c.id.in_(references), TASKS.c.state.not_in(FINISHED)
    still_open = set(connection.scalars(select(TASKS.c.id).where(*is_open)))
    old = [(row.scope, row.key) for row in looked_at if row.reference not in still_open]
    connection.execute(delete(IDEMPOTENCY).where(tuple_(IDEMPOTENCY.c.scope, IDEMPOTENCY.c.key).in_(old)))
    expired = select(PASSWORD_RESETS.c.token_hash).where(PASSWORD_RESETS.c.expires_at < request.before)
    tokens = connection.execute(
        delete(PASSWORD_RESETS).where(
            PASSWORD_RESETS.c.token_hash.in_(
                expired.order_by(PASSWORD_RESETS.c.expires_at).limit(request.most)
            )
        )
    ).rowcount
    after = request.after
    if looked_at:
        last = looked_at[-1]
        after = json.dumps([microseconds(last.created_at), last.scope, last.key])
    is_done = len(looked_at) < request.most and tokens < request.most
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
    # A condition of its own, so that the index finds the start.
    return [IDEMPOTENCY.c.created_at >= created_at, later]
