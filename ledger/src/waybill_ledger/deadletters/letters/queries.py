"""Queries for letters: filters, pages, and what is known of the effect of each letter."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, case, false, func, or_, select

from waybill_contracts.states import State
from waybill_contracts.wire import DeadReason
from waybill_ledger.deadletters import Effect, LetterState, Verdict
from waybill_ledger.listings import begins_with, decoded_key, encoded_key
from waybill_ledger.schema import DEAD_LETTERS, SUBTASKS, TASKS, owned_by

#: Id of a task, or a prefix of one.
_DIGITS: Final = re.compile("[0-9A-Fa-f-]{1,36}")
#: Reasons that end a first attempt before it can have an effect.
_BEFORE_ANY_EFFECT: Final = (
    DeadReason.PERMANENT,
    DeadReason.DEADLINE,
    DeadReason.UNREADABLE,
    DeadReason.REJECTED,
)


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Conditions on letters; None: no condition."""

    state: LetterState | None = None
    #: Owning tenant; None: all, including those without a tenant.
    tenant: str | None = None
    ids: Sequence[int] | None = None
    group: str | None = None
    service: str | None = None
    kind: str | None = None
    #: Id of a task, or a prefix of one.
    task: str | None = None
    error_type: str | None = None
    reason: str | None = None
    verdict: Verdict | None = None
    since: datetime | None = None
    until: datetime | None = None
    #: Part of the error message, or prefix of the task id or correlation id.
    q: str | None = None


@dataclass(frozen=True, slots=True)
class LetterPage:
    """Letters, newest first; the cursor of the next page, or None."""

    letters: list[dict[str, Any]]
    next_cursor: str | None


def list_letters(
    connection: Connection, wanted: LetterFilter, *, limit: int, cursor: str | None
) -> LetterPage:
    """A page of letters, as rows of `DEAD_LETTERS` with their `effect`.

    Raises:
        BadCursorError: `cursor` was not issued by this listing.
    """
    # First the ids, from an index: otherwise the rows of all letters of a large group would be sorted.
    ids = select(DEAD_LETTERS.c.id).where(*conditions(wanted)).order_by(DEAD_LETTERS.c.id.desc())
    if cursor is not None:
        (last,) = decoded_key(cursor, int)
        ids = ids.where(DEAD_LETTERS.c.id < last)
    found = connection.scalars(ids.limit(limit + 1)).all()
    query = with_effect().where(DEAD_LETTERS.c.id.in_(found)).order_by(DEAD_LETTERS.c.id.desc())
    rows = [row._asdict() for row in connection.execute(query)]
    more = len(rows) > limit
    page = rows[:limit]
    return LetterPage(page, encoded_key(page[-1]["id"]) if more else None)


def with_effect() -> Select[Any]:
    """Selects letters with their effect."""
    return select(DEAD_LETTERS, EFFECT.label("effect")).select_from(LETTERS_AND_TASKS)


def conditions(wanted: LetterFilter) -> list[ColumnElement[bool]]:
    """The filter as conditions on `DEAD_LETTERS`."""
    columns = DEAD_LETTERS.c
    found: list[ColumnElement[bool]] = [*owned_by(wanted.tenant, columns.tenant)]
    for column, value in (
        (columns.state, wanted.state),
        (columns.fingerprint, wanted.group),
        (columns.service, wanted.service),
        (columns.kind, wanted.kind),
        (columns.error_type, wanted.error_type),
        (columns.reason, wanted.reason),
        (columns.verdict, wanted.verdict),
    ):
        if value is not None:
            # PostgreSQL holds no NUL in a text, and refuses a query with one.
            found.append(false() if "\0" in value else column == value)
    if wanted.task is not None:
        found.append(_of_task(wanted.task))
    if wanted.ids is not None:
        found.append(columns.id.in_(wanted.ids))
    if wanted.since is not None:
        found.append(columns.died_at >= wanted.since)
    if wanted.until is not None:
        found.append(columns.died_at < wanted.until)
    if wanted.q is not None:
        found.append(_mentions(wanted.q))
    return found


def _of_task(task: str) -> ColumnElement[bool]:
    if "\0" in task:
        return false()
    # Foreign messages at the broker may have a task id of any form.
    whole = DEAD_LETTERS.c.task_id == task
    return or_(whole, begins_with(DEAD_LETTERS.c.task_id, task)) if _DIGITS.fullmatch(task) else whole


def _mentions(words: str) -> ColumnElement[bool]:
    if "\0" in words:
        return false()
    return or_(
        DEAD_LETTERS.c.error_message.icontains(words, autoescape=True),
        DEAD_LETTERS.c.task_id.startswith(words, autoescape=True),
        DEAD_LETTERS.c.correlation_id.startswith(words, autoescape=True),
    )


#: Letters joined to their tasks and subtasks, if any.
LETTERS_AND_TASKS: Final = DEAD_LETTERS.outerjoin(TASKS, TASKS.c.id == DEAD_LETTERS.c.task_id).outerjoin(
    SUBTASKS,
    and_(SUBTASKS.c.task_id == DEAD_LETTERS.c.task_id, SUBTASKS.c.service == DEAD_LETTERS.c.service),
)
#: All letters of the subtask: this one, earlier and later ones.
_OF_SUBTASK: Final = DEAD_LETTERS.alias("letters_of_subtask")
#: Letters of the subtask that cannot have had the effect of this one: an edit makes another effect.
_REFUSED: Final = (
    select(func.count())
    .where(
        _OF_SUBTASK.c.task_id == DEAD_LETTERS.c.task_id,
        _OF_SUBTASK.c.service == DEAD_LETTERS.c.service,
        or_(
            _OF_SUBTASK.c.edit_no != DEAD_LETTERS.c.edit_no,
            and_(_OF_SUBTASK.c.attempt == 1, _OF_SUBTASK.c.reason.in_(_BEFORE_ANY_EFFECT)),
        ),
    )
    .correlate(DEAD_LETTERS, SUBTASKS)
    .scalar_subquery()
)
#: Effect of a letter, from the state of its subtask.
EFFECT: Final[ColumnElement[str]] = case(
    (SUBTASKS.c.state.is_(None), Effect.NO_TASK.value),
    (TASKS.c.erased_at.is_not(None), Effect.ERASED.value),
    (SUBTASKS.c.state == State.COMPLETED, Effect.DONE.value),
    (
        or_(SUBTASKS.c.state == State.CANCELLED, TASKS.c.cancel_requested_at.is_not(None)),
        Effect.CANCELLED.value,
    ),
    (
        or_(
            SUBTASKS.c.state != State.FAILED,
            # Once its redrive is settled, no attempt is under way.
            and_(
                SUBTASKS.c.redrive_no != DEAD_LETTERS.c.redrive_no,
                DEAD_LETTERS.c.state != LetterState.RETURNED,
            ),
        ),
        Effect.UNDER_WAY.value,
    ),
    # Each redrive ends in one letter. A missing or pruned one may have had its effect.
    (SUBTASKS.c.redrive_no + 1 == _REFUSED, Effect.NOT_DONE.value),
    else_=Effect.UNKNOWN.value,
)
