"""The state machine of tasks and subtasks, as pure functions; docs/states.md shows it.

Lifecycle events may come late, twice or out of order. Each has a position, and a subtask only moves to a
higher one: events applied in any order, any number of times, end in the same state.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from waybill_contracts.states import State
from waybill_contracts.wire import ErrorInfo, LifecycleEvent, LifecycleType

#: Bits of a position below the redrive number: the outcome, the attempt, its snoozes, and its step.
_REDRIVE_SHIFT = 40
_OUTCOME_SHIFT = 36
_ATTEMPT_SHIFT = 16
_SNOOZE_SHIFT = 4
_STEPS = (1 << _SNOOZE_SHIFT) - 1
_STEP_OF_SNOOZED = 3
#: What a type of event adds to a position. An outcome ranks above every attempt of its redrive. Of two
#: outcomes, an effect that happened wins over one that did not: a failed copy cannot undo it. Progress leaves
#: its subtask where the start of the attempt has brought it.
_RANK = {
    LifecycleType.STARTED: 1,
    LifecycleType.PROGRESS: 1,
    LifecycleType.RETRYING: 2,
    LifecycleType.SNOOZED: _STEP_OF_SNOOZED,
    LifecycleType.DEAD: 1 << _OUTCOME_SHIFT,
    LifecycleType.CANCELLED: 2 << _OUTCOME_SHIFT,
    LifecycleType.COMPLETED: 3 << _OUTCOME_SHIFT,
}
#: States of tasks and subtasks that have an outcome.
FINISHED: Final = tuple(state for state in State if state.is_terminal)
_STATE_AFTER = {
    LifecycleType.STARTED: State.RUNNING,
    LifecycleType.PROGRESS: State.RUNNING,
    LifecycleType.RETRYING: State.RETRYING,
    LifecycleType.SNOOZED: State.RETRYING,
    LifecycleType.COMPLETED: State.COMPLETED,
    LifecycleType.DEAD: State.FAILED,
    LifecycleType.CANCELLED: State.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Subtask:
    """Part of a task that one service does, as the ledger knows it."""

    task_id: str
    service: str
    state: State
    position: int
    redrive_no: int
    attempt: int
    max_attempts: int | None
    next_attempt_at: datetime | None
    updated_at: datetime
    #: When its next heartbeat is due, before the stall timeout; None once it has an outcome.
    expected_at: datetime | None
    #: How often it was put back since its last heartbeat.
    reconciled: int
    result: dict[str, Any] | None
    error: dict[str, Any] | None


def position(event: LifecycleEvent) -> int:
    """Rank of an event in the life of its subtask: by redrive, outcome, attempt, snooze and step."""
    data = event.data
    return (
        data.redrive_no << _REDRIVE_SHIFT
        | data.attempt << _ATTEMPT_SHIFT
        | data.snooze_no << _SNOOZE_SHIFT
        | _RANK[event.type]
    )


def due_next(state: State, attempt: int, position: int) -> tuple[int, int]:
    """Attempt that a subtask without an outcome waits for or runs, and its number of snoozes.

    Args:
        state: of the subtask.
        attempt: the latest known one; 0: none has begun.
        position: of the latest event.
    """
    snooze_no = (position >> _SNOOZE_SHIFT) % (1 << _ATTEMPT_SHIFT - _SNOOZE_SHIFT)
    if state is State.RUNNING:
        return attempt, snooze_no
    if state is not State.RETRYING:
        return max(attempt, 1), 0
    if position & _STEPS == _STEP_OF_SNOOZED:
        return attempt, snooze_no + 1
    return attempt + 1, 0


def redriven_position(redrive_no: int) -> int:
    """Position of a subtask that was redriven, before any event of the redrive."""
    return redrive_no << _REDRIVE_SHIFT


def merge(subtask: Subtask, event: LifecycleEvent) -> Subtask:
    """The subtask after `event`; the same object if the event is not newer."""
    reached, state = position(event), _STATE_AFTER[event.type]
    # The start of a long attempt is reported again, with the time, for as long as it runs.
    if reached == subtask.position and state is State.RUNNING:
        return _alive(subtask, event.time)
    if reached <= subtask.position:
        return subtask
    data = event.data
    return Subtask(
        task_id=subtask.task_id,
        service=subtask.service,
        state=state,
        position=reached,
        redrive_no=data.redrive_no,
        attempt=data.attempt,
        max_attempts=data.max_attempts,
        next_attempt_at=data.next_attempt_at,
        updated_at=event.time,
        # The timeout of a handler begins with its start or latest progress, that of a retry when it is due.
        expected_at=None if state.is_terminal else data.next_attempt_at or event.time,
        reconciled=0,
        result=data.result,
        error=_error_after(subtask, data.error, state),
    )


def _alive(subtask: Subtask, at: datetime) -> Subtask:
    """The subtask after a heartbeat of the attempt that runs: its stall timeout begins again."""
    if at <= subtask.updated_at:
        return subtask
    return replace(subtask, updated_at=at, expected_at=at, reconciled=0)


def _error_after(subtask: Subtask, error: ErrorInfo | None, state: State) -> dict[str, Any] | None:
    if error is not None:
        return error.model_dump()
    # The last error stays visible while the next attempt runs; an outcome clears it.
    return subtask.error if state is State.RUNNING else None


def task_state(subtasks: Iterable[State]) -> State:
    """State of a task, from the states of its subtasks.

    An outcome only if every subtask has one: failed if any failed, else cancelled if any was, else completed.
    Otherwise running or retrying if any subtask is; running if some have ended and the others have not begun;
    else pending or scheduled.
    """
    states = set(subtasks)
    if len(states) == 1:
        return states.pop()
    for outcome in (State.FAILED, State.CANCELLED, State.COMPLETED):
        if outcome in states and all(state.is_terminal for state in states):
            return outcome
    for state in (State.RUNNING, State.RETRYING):
        if state in states:
            return state
    if any(state.is_terminal for state in states):
        return State.RUNNING
    return State.PENDING if State.PENDING in states else State.SCHEDULED
