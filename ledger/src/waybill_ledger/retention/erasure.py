"""Erasure of the data of a person, or of named tasks, in small steps, each a transaction.

Erased of a task: payload, results, error messages, subject, bodies of its letters, its reset link, the
fingerprint of its idempotency key. Kept for the account: ids, kinds, states, times. A schedule is deleted. A
task without an outcome is not changed, because its payload is still needed.

An erased task no longer matches the person, so the next step, or another run after a crash, skips it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update

from waybill_contracts.states import State
from waybill_ledger.acceptance import erase_content
from waybill_ledger.audit import AuditEntry, record
from waybill_ledger.deadletters.letters import erase_letters, lock_letters
from waybill_ledger.files import release_files
from waybill_ledger.progress import ERASED, FINISHED, erase_samples, erased_error, has_words, without_words
from waybill_ledger.retention.persons import NamedTasks, Person, schedules_of, tasks_of
from waybill_ledger.schema import (
    OUTBOX,
    PASSWORD_RESETS,
    REDRIVEN_PAYLOADS,
    SCHEDULES,
    SUBTASKS,
    TASK_FILES,
    TASKS,
    TIMELINE,
)


@dataclass(frozen=True, slots=True)
class EraseStep:
    """Request for one step of an erasure, of a person or of named tasks."""

    target: Person | NamedTasks
    now: datetime
    #: Most tasks to examine.
    most: int
    #: Id of the erasure in the audit trail; does not name the person.
    erasure: str
    actor: str
    #: Where the last step ended; empty: begin with the schedules and the oldest task.
    after: str = ""


@dataclass(frozen=True, slots=True)
class Erased:
    """Counts of what a step erased."""

    tasks: int
    letters: int = 0
    schedules: int = 0
    password_resets: int = 0
    idempotency_keys: int = 0


@dataclass(frozen=True, slots=True)
class ErasedStep:
    """Result of a step."""

    erased: Erased
    #: Number of unchanged open tasks by state.
    open: dict[State, int]
    #: Where the next step begins; None: all are done.
    after: str | None


def erase_persons(connection: Connection, steps: Sequence[EraseStep]) -> Sequence[ErasedStep]:
    """Erases, and records it in the audit trail; a batch write for `Records.write`."""
    return [_erase(connection, step) for step in steps]


def open_tasks(connection: Connection, step: EraseStep) -> Sequence[str]:
    """Open tasks that the step would not change."""
    return [row.id for row in _looked_at(connection, step) if row.state not in FINISHED]


def _erase(connection: Connection, step: EraseStep) -> ErasedStep:
    schedules, keys = 0, 0
    if isinstance(step.target, Person) and not step.after:
        schedules, keys = _erase_schedules(connection, step.target)
    looked_at = _looked_at(connection, step)
    ids = [row.id for row in looked_at]
    # Letters, outbox, tasks: the lock order of all writers.
    letters = lock_letters(connection, ids)
    connection.execute(select(OUTBOX.c.id).where(OUTBOX.c.task_id.in_(ids)).with_for_update())
    tasks = connection.execute(
        select(TASKS.c.id, TASKS.c.created_at)
        .where(TASKS.c.id.in_(ids), TASKS.c.state.in_(FINISHED), *tasks_of(step.target))
        .order_by(TASKS.c.id)
        .with_for_update()
    ).all()
    finished = {row.id: row.created_at for row in tasks}
    own = [letter.id for letter in letters if letter.task_id in finished]
    erased = Erased(
        tasks=len(finished),
        letters=len(own),
        schedules=schedules,
        password_resets=_erase_tasks(connection, list(finished), step.now),
        idempotency_keys=keys + erase_content(connection, finished),
    )
    erase_letters(connection, own, actor=step.actor, now=step.now)
    _record_erasure(connection, step, erased)
    left = Counter(State(row.state) for row in looked_at if row.id not in finished)
    return ErasedStep(erased, dict(left), ids[-1] if len(ids) == step.most else None)


def _looked_at(connection: Connection, step: EraseStep) -> Sequence[Any]:
    along = select(TASKS.c.id, TASKS.c.state).where(*tasks_of(step.target), TASKS.c.id > step.after)
    return connection.execute(along.order_by(TASKS.c.id).limit(step.most)).all()


def _erase_schedules(connection: Connection, person: Person) -> tuple[int, int]:
    """Deletes all schedules of the person; returns their number, and the number of their keys."""
    gone = connection.execute(
        delete(SCHEDULES).where(*schedules_of(person)).returning(SCHEDULES.c.id, SCHEDULES.c.created_at)
    ).all()
    return len(gone), erase_content(connection, {row.id: row.created_at for row in gone})


def _erase_tasks(connection: Connection, ids: Sequence[str], now: datetime) -> int:
    """Erases tasks; returns the number of deleted reset links."""
    if not ids:
        return 0
    release_files(connection, ids, now)
    # The outbox may still have a row with an unconfirmed publish, and its payload is erased.
    for table in (TASK_FILES, OUTBOX, REDRIVEN_PAYLOADS):
        connection.execute(delete(table).where(table.c.task_id.in_(ids)))
    _erase_words(connection, ids)
    erase_samples(connection, ids)
    connection.execute(
        update(TASKS)
        .where(TASKS.c.id.in_(ids))
        .values(payload=None, about=ERASED, correlation_id=TASKS.c.id, person=None, erased_at=now)
    )
    return connection.execute(delete(PASSWORD_RESETS).where(PASSWORD_RESETS.c.task_id.in_(ids))).rowcount


def _erase_words(connection: Connection, ids: Sequence[str]) -> None:
    said = select(TIMELINE.c.seq, TIMELINE.c.details).where(
        TIMELINE.c.task_id.in_(ids), TIMELINE.c.details.is_not(None)
    )
    facts = [
        {"b_seq": row.seq, "b_details": without_words(row.details)}
        for row in connection.execute(said)
        if has_words(row.details)
    ]
    if facts:
        connection.execute(_FACT, facts)
    failed = select(SUBTASKS.c.task_id, SUBTASKS.c.service, SUBTASKS.c.error).where(
        SUBTASKS.c.task_id.in_(ids), SUBTASKS.c.error.is_not(None)
    )
    errors = [
        {"b_task_id": row.task_id, "b_service": row.service, "b_error": erased_error(row.error)}
        for row in connection.execute(failed)
    ]
    if errors:
        connection.execute(_ERROR, errors)
    connection.execute(update(SUBTASKS).where(SUBTASKS.c.task_id.in_(ids)).values(result=None))


def _record_erasure(connection: Connection, step: EraseStep, erased: Erased) -> None:
    counts = asdict(erased)
    if not any(counts.values()):
        return
    entry = AuditEntry(
        step.now,
        step.actor,
        "erase",
        letters=erased.letters,
        reason=f"erasure {step.erasure}: {erased.tasks} task(s), {erased.schedules} schedule(s)",
        details={"erasure": step.erasure} | counts,
        tenant=step.target.tenant,
    )
    record(connection, [entry])


_FACT = update(TIMELINE).where(TIMELINE.c.seq == bindparam("b_seq")).values(details=bindparam("b_details"))
_ERROR = (
    update(SUBTASKS)
    .where(SUBTASKS.c.task_id == bindparam("b_task_id"), SUBTASKS.c.service == bindparam("b_service"))
    .values(error=bindparam("b_error"))
)
