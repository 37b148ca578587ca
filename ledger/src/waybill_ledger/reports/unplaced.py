"""Finds unplaced tasks: with an inconsistent record, or silent for longer than the reconciler allows."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Subquery, and_, case, func, literal, or_, select, true

from waybill_contracts.states import State
from waybill_ledger.outbox import is_held
from waybill_ledger.progress import FINISHED, StallTimeouts, is_silent
from waybill_ledger.schema import SUBTASKS, TASKS, owned_by

#: Number of stall timeouts that may pass in silence: one before the first run of the reconciler, one until it
#: puts the subtask back, and then the subtask is in the outbox or has a new timeout.
MOST_TIMEOUTS: Final = 3
#: Earlier than any task.
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OPEN: Final = tuple(state for state in State if not state.is_terminal)
#: Message for each fault of a task; `state`, `subtasks` and `from_subtasks` are filled in.
_WORDS: Final = {
    "no_subtasks": "it has no subtasks, so no service will work on it",
    "unknown_state": "its state {state!r} is unknown",
    "unknown_subtask_state": "a subtask is in an unknown state: {subtasks}",
    "other_state": "its state is {state}, but by its subtasks ({subtasks}) it should be {from_subtasks}",
    "no_completion": "it is {state}, but has no time of completion",
    "early_completion": "it is {state}, but has a time of completion",
    "unexpected": "a subtask has no outcome, and no time at which the reconciler would check it: {subtasks}",
    "silent": "a heartbeat is overdue, nothing is in the outbox, and the reconciler has not put it back: "
    "{subtasks}",
}


@dataclass(frozen=True, slots=True)
class Range:
    """Tasks that were accepted at or after `since` and before `until`, as of `now`."""

    now: datetime
    timeouts: StallTimeouts
    since: datetime | None = None
    until: datetime | None = None
    #: Owning tenant; None: all tenants.
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A task with a fault."""

    task_id: str
    kind: str
    #: As stored, perhaps an unknown one.
    state: str
    created_at: datetime
    #: What is wrong with it, as sentences.
    reasons: tuple[str, ...]


def is_in_range(wanted: Range) -> ColumnElement[bool]:
    """Condition: the task was accepted in the range."""
    # Always a lower bound: without one SQLite reads every row instead of the index by time.
    not_before = TASKS.c.created_at >= (wanted.since or _BEGINNING)
    not_after = true() if wanted.until is None else TASKS.c.created_at < wanted.until
    return and_(not_before, not_after, *owned_by(wanted.tenant, TASKS.c.tenant))


def unplaced(wanted: Range) -> Subquery:
    """Selects unplaced tasks; columns `id kind state created_at`, and one of 1 or 0 for each fault."""
    faults = _faults(wanted)
    suspects = (
        select(TASKS.c.id)
        .outerjoin(SUBTASKS, SUBTASKS.c.task_id == TASKS.c.id)
        .where(is_in_range(wanted), _is_suspect())
    )
    return (
        select(
            TASKS.c.id,
            TASKS.c.kind,
            TASKS.c.state,
            TASKS.c.created_at,
            _state_from_subtasks().label("from_subtasks"),
            *(case((fault, 1), else_=0).label(name) for name, fault in faults.items()),
        )
        .outerjoin(SUBTASKS, SUBTASKS.c.task_id == TASKS.c.id)
        .where(TASKS.c.id.in_(suspects))
        .group_by(TASKS.c.id)
        .having(or_(*faults.values()))
        .subquery()
    )


def describe(connection: Connection, rows: Iterable[Row[Any]]) -> list[Unplaced]:
    """Describes rows of `unplaced`."""
    found = [row._asdict() for row in rows]
    subtasks: dict[str, list[str]] = defaultdict(list)
    columns = (SUBTASKS.c.task_id, SUBTASKS.c.service, SUBTASKS.c.state, SUBTASKS.c.expected_at)
    of_these = SUBTASKS.c.task_id.in_([row["id"] for row in found])
    for row in connection.execute(select(*columns).where(of_these).order_by(SUBTASKS.c.service)):
        due = f", due {row.expected_at:%Y-%m-%d %H:%M:%S} UTC" if row.expected_at else ""
        subtasks[row.task_id].append(f"{row.service} {row.state}{due}")
    return [
        Unplaced(
            row["id"],
            row["kind"],
            row["state"],
            row["created_at"],
            tuple(
                words.format(**row, subtasks="; ".join(subtasks[row["id"]]))
                for name, words in _WORDS.items()
                if row[name]
            ),
        )
        for row in found
    ]


def _is_suspect() -> ColumnElement[bool]:
    # Nearly all tasks have ended with all their subtasks, and need no closer check.
    suspect: ColumnElement[bool] = or_(
        SUBTASKS.c.task_id.is_(None),
        SUBTASKS.c.state != TASKS.c.state,
        TASKS.c.state.not_in(FINISHED),
        TASKS.c.completed_at.is_(None),
    )
    return suspect


def _faults(wanted: Range) -> dict[str, ColumnElement[bool]]:
    """Condition of each fault of `_WORDS`, on a task and its subtasks."""
    subtasks = func.count(SUBTASKS.c.service)
    no_time = TASKS.c.completed_at.is_(None)
    is_open = SUBTASKS.c.state.in_(_OPEN)
    return {
        "no_subtasks": subtasks == 0,
        "unknown_state": TASKS.c.state.not_in(State),
        "unknown_subtask_state": _number_of(SUBTASKS.c.state.not_in(State)) > 0,
        "other_state": and_(subtasks > 0, TASKS.c.state != _state_from_subtasks()),
        "no_completion": and_(TASKS.c.state.in_(FINISHED), no_time),
        "early_completion": and_(TASKS.c.state.in_(_OPEN), ~no_time),
        "unexpected": _number_of(and_(is_open, SUBTASKS.c.expected_at.is_(None), ~is_held())) > 0,
        "silent": _number_of(and_(is_open, is_silent(_cut(wanted)))) > 0,
    }


def _cut(wanted: Range) -> ColumnElement[datetime]:
    beyond = wanted.timeouts.pending * (MOST_TIMEOUTS - 1)
    instant = SUBTASKS.c.expected_at.type
    cut: ColumnElement[datetime] = case(
        *(
            (SUBTASKS.c.state == state, literal(wanted.now - wanted.timeouts.of(state) - beyond, instant))
            for state in _OPEN
        )
    )
    return cut


def _state_from_subtasks() -> ColumnElement[str]:
    """`states.task_state` in SQL; a test compares the two."""
    number = {state: _number_of(SUBTASKS.c.state == state) for state in State}
    ended = _number_of(SUBTASKS.c.state.in_(FINISHED))
    all_ended = ended == func.count(SUBTASKS.c.service)
    return case(
        (and_(all_ended, number[State.FAILED] > 0), State.FAILED.value),
        (and_(all_ended, number[State.CANCELLED] > 0), State.CANCELLED.value),
        (all_ended, State.COMPLETED.value),
        (number[State.RUNNING] > 0, State.RUNNING.value),
        (number[State.RETRYING] > 0, State.RETRYING.value),
        (ended > 0, State.RUNNING.value),
        (number[State.PENDING] > 0, State.PENDING.value),
        else_=State.SCHEDULED.value,
    )


def _number_of(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))
