"""Result of a cell: waits until all work has ended, then compares accepted tasks with their effects."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic, sleep

import httpx

from tests.crash.callers import TERMINAL, Accepted, Call
from tests.crash.effects import effects_of
from tests.crash.rows import Flow
from tests.crash.stack import PATIENCE, CrashStack
from waybill_contracts.wire.names import dead_letter_queue

#: Seconds between two checks that must both find no work: the broker's numbers are up to a second old.
STILL_SECONDS = 1.2
#: Seconds between checks while there is work.
POLL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Count:
    """The numbers of one cell."""

    #: Calls that were answered with 202, and all calls.
    accepted: int
    called: int
    #: Accepted tasks with the outcome and effect that the row expects.
    ended: int
    #: Accepted tasks without them.
    lost: int
    #: Effects that happened more than once, and tasks without an answer to a caller.
    doubled: int
    #: Repeats of an effect that the other side recognised, so that nothing happened.
    recognised: int
    #: Tasks that were cancelled in time, and those of them whose record says that their effect may have
    #: happened.
    cancelled: int
    in_doubt: int
    #: Whether all came to rest: nothing left in the outbox, nor in any queue that should be empty.
    at_rest: bool
    #: Descriptions of what is wrong.
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ending:
    """Final state of one task."""

    state: str | None
    #: How often its effect has happened.
    times: int
    #: Its record says that the effect may have happened, though the task was cancelled.
    in_doubt: bool
    #: Outcome of its cancellation, as answered to its caller.
    cancellation: str | None = None


def is_as_it_should_be(flow: Flow, ending: Ending) -> bool:
    """Whether the record agrees with the effects, and both with the guarantees."""
    if flow is Flow.DEAD:
        return ending.state == "failed" and bool(ending.times)
    if flow.is_cancelled and ending.state == "cancelled":
        # If the effect of a cancelled task has happened, its record must say so.
        return ending.cancellation != "too_late" and (not ending.times or ending.in_doubt)
    return ending.state == "completed" and bool(ending.times) and ending.cancellation != "prevented"


def count(
    stack: CrashStack, flow: Flow, calls: list[Call], answers: Sequence[Accepted], before: int
) -> Count:
    """Counts after all has come to rest.

    Args:
        stack: the stack that ran the cell.
        flow: the kind of tasks.
        calls: the calls that were made.
        answers: the answers for accepted tasks.
        before: number of tasks in the ledger before.
    """
    accepted = [each.task_id for each in answers]
    unrest = _came_to_rest(stack, flow, accepted)
    remarks = [f"not at rest after {PATIENCE:g} s: {unrest}"] if unrest else []
    effects = effects_of(stack, flow, accepted)
    children = stack.ledger.children(accepted)
    everyone = {*accepted, *(child for own in children.values() for child in own)}
    states = stack.ledger.states(everyone)
    doubts = stack.ledger.in_doubt(everyone)
    cancellations = {each.task_id: each.cancellation for each in answers}
    endings = {
        task_id: Ending(
            states.get(task_id), effects.times[task_id], task_id in doubts, cancellations.get(task_id)
        )
        for task_id in everyone
    }
    wrong = [task_id for task_id, ending in endings.items() if not is_as_it_should_be(flow, ending)]
    remarks += [f"lost: {task_id} is {endings[task_id]}" for task_id in wrong]
    numbers = {task_id: len(children.get(task_id, ())) for task_id in accepted}
    remarks += [f"{task_id} has spawned {n}" for task_id, n in numbers.items() if n != flow.children]
    childless = {task_id for task_id, number in numbers.items() if number < flow.children}
    # A parent has ended as it should if its children have, too.
    lost = [task_id for task_id in accepted if {task_id, *children.get(task_id, ())} & {*wrong, *childless}]
    unanswered = stack.ledger.number_of_tasks() - before - len(states)
    if unanswered:
        remarks.append(f"{unanswered} tasks whose callers got no answer")
    doubled = effects.more + sum(times - 1 for times in effects.times.values() if times > 1)
    doubled += sum(max(0, number - flow.children) for number in numbers.values())
    return Count(
        accepted=len(accepted),
        called=len(calls),
        ended=len(accepted) - len(lost),
        lost=len(lost),
        doubled=doubled + unanswered,
        recognised=effects.recognised,
        cancelled=sum(ending.state == "cancelled" for ending in endings.values()),
        in_doubt=sum(ending.in_doubt for ending in endings.values()),
        at_rest=unrest is None,
        remarks=tuple(remarks),
    )


def _came_to_rest(stack: CrashStack, flow: Flow, accepted: list[str]) -> str | None:
    """Waits until all work has ended; returns what has not when the time has run out."""
    deadline = monotonic() + PATIENCE
    still_since: float | None = None
    moving = None
    while monotonic() < deadline:
        moving = _moving(stack, flow, accepted)
        if moving is not None:
            still_since = None
        elif still_since is None:
            still_since = monotonic()
        elif monotonic() - still_since > STILL_SECONDS:
            return None
        sleep(POLL_SECONDS)
    return moving or "it came to rest too late"


def _moving(stack: CrashStack, flow: Flow, accepted: list[str]) -> str | None:
    spawned = [child for own in stack.ledger.children(accepted).values() for child in own]
    states = stack.ledger.states([*accepted, *spawned])
    under_way = [task_id for task_id in (*accepted, *spawned) if states.get(task_id) not in TERMINAL]
    if under_way:
        return f"{len(under_way)} tasks, {under_way[0]} is {states.get(under_way[0])}"
    if outbox := stack.ledger.rows_in_outbox():
        return f"{outbox} rows in the outbox"
    if kept := stack.kept_messages():
        return f"{kept} messages of long attempts in the inbox"
    try:
        queues = stack.broker.management.queues(stack.vhost)
    except httpx.HTTPError as error:  # the broker is just starting
        return f"the broker: {error}"
    # Without a desk dead letters wait in their queue; of tasks that are to complete there must be none.
    dies = flow is Flow.DEAD and "deadletters" not in stack.processes
    waiting = {dead_letter_queue("sync")} if dies else set()
    full = [queue for queue in queues if queue.ready + queue.unacked and queue.name not in waiting]
    return ", ".join(f"{queue.ready}+{queue.unacked} in {queue.name}" for queue in full) or None
