"""The state machine of tasks and subtasks, as pure functions; docs/states.md draws it.

Lifecycle events may come late, twice or out of order. Each has a position, and a subtask only ever moves to
a higher one: applying events in any order, any number of times, ends in the same state.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from waybill_contracts.wire.lifecycle import LifecycleEvent, LifecycleType
from waybill_contracts.wire.states import State

#: Bits of a position below the redrive number: the outcome, then the attempt, how often it was put off, and
#: the step in it.
_REDRIVE_SHIFT = 40
_OUTCOME_SHIFT = 36
_ATTEMPT_SHIFT = 16
_SNOOZE_SHIFT = 4
_STEPS = (1 << _SNOOZE_SHIFT) - 1
#: An outcome stands above every attempt of its redrive. Where two claim to be one, what happened wins over
#: what did not: an effect that took place cannot be undone by a copy that failed.
_OUTCOME_RANK = {LifecycleType.DEAD: 1, LifecycleType.CANCELLED: 2, LifecycleType.COMPLETED: 3}
_STEP_RANK = {LifecycleType.STARTED: 1, LifecycleType.RETRYING: 2, LifecycleType.SNOOZED: 3}
#: States of tasks and subtasks that have an outcome.
FINISHED: Final = tuple(state for state in State if state.is_terminal)
_STATE_AFTER = {
    LifecycleType.STARTED: State.RUNNING,
    LifecycleType.RETRYING: State.RETRYING,
    LifecycleType.SNOOZED: State.RETRYING,
    LifecycleType.COMPLETED: State.COMPLETED,
    LifecycleType.DEAD: State.FAILED,
    LifecycleType.CANCELLED: State.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Subtask:
    """One service's part of a task, as the ledger knows it."""

    task_id: str
    service: str
    state: State
    position: int
    redrive_no: int
    attempt: int
    max_attempts: int | None
    next_attempt_at: datetime | None
    updated_at: datetime
    #: When its next sign of life is due, patience apart; None once it has an outcome.
    expected_at: datetime | None
    #: How often it was put back since its last sign of life.
    reconciled: int
    result: dict[str, Any] | None
    error: dict[str, Any] | None


def position(event: LifecycleEvent) -> int:
    """How far a subtask has come when `event` has happened: by redrive, outcome, attempt, snooze and step."""
    data = event.data
    return (
        data.redrive_no << _REDRIVE_SHIFT
        | _OUTCOME_RANK.get(event.type, 0) << _OUTCOME_SHIFT
        | data.attempt << _ATTEMPT_SHIFT
        | data.snooze_no << _SNOOZE_SHIFT
        | _STEP_RANK.get(event.type, 0)
    )


def due_next(state: State, attempt: int, position: int) -> tuple[int, int]:
    """The attempt that a subtask without an outcome waits for or runs, and how often it was put off.

    Args:
        state: where the subtask is.
        attempt: the latest that is known of; 0: none has begun.
        position: how far it has come.
    """
    snooze_no = (position >> _SNOOZE_SHIFT) % (1 << _ATTEMPT_SHIFT - _SNOOZE_SHIFT)
    if state is State.RUNNING:
        return attempt, snooze_no
    if state is not State.RETRYING:
        return max(attempt, 1), 0
    if position & _STEPS == _STEP_RANK[LifecycleType.SNOOZED]:
        return attempt, snooze_no + 1
    return attempt + 1, 0


def redriven_position(redrive_no: int) -> int:
    """Where a subtask is when it has been redriven and nothing of that is heard yet."""
    return redrive_no << _REDRIVE_SHIFT


def merge(subtask: Subtask, event: LifecycleEvent) -> Subtask:
    """The subtask after `event`; the very same object if the event tells nothing newer."""
    reached = position(event)
    if reached <= subtask.position:
        return subtask
    data = event.data
    return replace(
        subtask,
        state=_STATE_AFTER[event.type],
        position=reached,
        redrive_no=data.redrive_no,
        attempt=data.attempt,
        max_attempts=data.max_attempts,
        next_attempt_at=data.next_attempt_at,
        updated_at=event.time,
        expected_at=_expected_after(event),
        reconciled=0,
        result=data.result,
        error=_error_after(subtask, event),
    )


def _expected_after(event: LifecycleEvent) -> datetime | None:
    if _STATE_AFTER[event.type].is_terminal:
        return None
    # The handler's patience counts from its start, a retry's from when it is due.
    return event.data.next_attempt_at or event.time


def _error_after(subtask: Subtask, event: LifecycleEvent) -> dict[str, Any] | None:
    if event.data.error is not None:
        return event.data.error.model_dump()
    # What went wrong last stays in sight while the next attempt runs; an outcome clears it.
    return subtask.error if event.type is LifecycleType.STARTED else None


def task_state(subtasks: Iterable[State]) -> State:
    """A task's state, which follows from those of its subtasks.

    An outcome only when every subtask has one: failed if any failed, else cancelled if any was, else
    completed. Until then the liveliest state of the rest, and `running` too where some have ended while the
    rest has not begun.
    """
    states = set(subtasks)
    for outcome in (State.FAILED, State.CANCELLED, State.COMPLETED):
        if outcome in states and all(state.is_terminal for state in states):
            return outcome
    for state in (State.RUNNING, State.RETRYING):
        if state in states:
            return state
    if any(state.is_terminal for state in states):
        return State.RUNNING
    return State.PENDING if State.PENDING in states else State.SCHEDULED
