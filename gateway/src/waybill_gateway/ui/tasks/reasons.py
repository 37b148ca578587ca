"""Why a task has not ended: what each of its services waits for, in words. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from waybill_contracts.registry import Registry
from waybill_contracts.states import State
from waybill_contracts.wire import LifecycleType
from waybill_gateway.tasks import SubtaskView, TaskView, TimelineEventView
from waybill_gateway.ui.frame import formats
from waybill_gateway.words import duration, relative
from waybill_ledger import OpenWork
from waybill_ledger.outbox import Unpublished

#: Seconds for which a message may be on its way before it is worth a word.
_ON_ITS_WAY: Final = 10


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known beside the task itself."""

    now: datetime
    registry: Registry
    #: What the task has in the outbox.
    unpublished: Sequence[Unpublished]
    #: Open work of the caller's tenant, or of all.
    work: Sequence[OpenWork]
    broker_is_connected: bool
    #: Version of the contract that its payload follows; None: it is not known.
    version: int | None = None
    #: Services whose last report is that they put the attempt off.
    put_off: frozenset[str] = frozenset()


def reasons(task: TaskView, facts: Facts) -> list[tuple[str, str]]:
    """For each service without an outcome: its name, and what it waits for."""
    return [
        (part.service, _reason(task, part, facts)) for part in task.subtasks if not part.state.is_terminal
    ]


def put_off_by(events: Sequence[TimelineEventView]) -> frozenset[str]:
    """Services whose last report in a timeline is that they put an attempt off."""
    last = {event.service: event.type for event in events if event.service is not None}
    return frozenset(service for service, type_ in last.items() if type_ == LifecycleType.SNOOZED)


def _reason(task: TaskView, part: SubtaskView, facts: Facts) -> str:
    match part.state:
        case State.SCHEDULED:
            due = task.due_at or task.created_at
            return f"It is scheduled: it begins {_when(due, facts.now)}."
        case State.RUNNING:
            return _running(part, facts.now)
        case State.RETRYING:
            return _snoozed(part, facts) if part.service in facts.put_off else _retrying(part, facts)
    return _unread(task, part, facts) or _pending(part, facts)


def _running(part: SubtaskView, now: datetime) -> str:
    words = f"Attempt {part.attempt} runs: the last report came {_when(part.updated_at, now)}."
    if part.progress is None:
        return words
    share = "" if part.progress.share is None else f"{part.progress.share:.0%}, "
    return f"{words} Progress: {share}{part.progress.text}."


def _retrying(part: SubtaskView, facts: Facts) -> str:
    of = f" of {part.max_attempts}" if part.max_attempts else ""
    why = f"Attempt {part.attempt}{of} ended with {_error(part)}."
    if part.next_attempt_at is not None and part.next_attempt_at > facts.now:
        return f"{why} The next one begins {_when(part.next_attempt_at, facts.now)}."
    return f"{why} The next one is due. {_in_queue(part.service, facts)}"


def _snoozed(part: SubtaskView, facts: Facts) -> str:
    """An attempt that is put off keeps its number, and does not count."""
    error = part.error or {}
    why = {
        "CircuitOpenError": "the other side did not answer lately, and is not asked for a while",
        "UnreachableError": "the other side cannot be reached",
        "OutOfServiceError": "the other side says that it does no work now",
        "RateLimitedError": "the other side accepts no more for now",
        "RateLimited": "the other side accepts no more for now",
    }.get(str(error.get("type")), "its handler asked for it")
    due = part.next_attempt_at
    until = f" until {_when(due, facts.now)}" if due is not None else ""
    return f"Attempt {part.attempt} is put off{until}, because {why} ({_error(part)}). It counts as none."


def _unread(task: TaskView, part: SubtaskView, facts: Facts) -> str:
    """Why a service cannot read a task; empty: it can."""
    service = facts.registry.services.get(part.service)
    if service is None or service.is_retired or facts.version is None:
        return ""
    reads = service.reads(task.kind)
    if facts.version in reads:
        return ""
    if not reads:
        return f"The release of {part.service} that is registered does not handle {task.kind} any more."
    known = ", ".join(map(str, sorted(reads)))
    return (
        f"Its data is of version {facts.version} of {task.kind}, and {part.service} reads {known}: "
        f"it waits for a release that reads it."
    )


def _pending(part: SubtaskView, facts: Facts) -> str:
    service = facts.registry.services.get(part.service)
    if service is not None and service.is_retired:
        return (
            f"{part.service} is retired: no process takes its tasks. Register it again, or cancel the task."
        )
    if any(each.held for each in facts.unpublished):
        return "It has low priority: it waits until the queues of its services are short."
    if facts.unpublished and not facts.broker_is_connected:
        return "The broker cannot be reached: the task is stored, and is published when the broker is back."
    if facts.unpublished and (facts.now - part.updated_at).total_seconds() > _ON_ITS_WAY:
        return "It is not known to be at the broker; the status service publishes it with its next sweep."
    return _in_queue(part.service, facts)


def _in_queue(service: str, facts: Facts) -> str:
    of_service = {each.state: each for each in facts.work if each.service == service}
    waits, runs = of_service.get(State.PENDING), of_service.get(State.RUNNING)
    words = f"It waits in the queue of {service}"
    if waits is not None:
        words += (
            f": {waits.subtasks:,} wait there, the oldest for "
            f"{duration((facts.now - waits.oldest).total_seconds())}"
        )
    if runs is None:
        return f"{words}. {service} works on nothing now: does a process of it run?"
    return f"{words}, and {runs.subtasks:,} run."


def _when(moment: datetime, now: datetime) -> str:
    return f"{relative(moment, now)} ({formats.absolute(moment)})"


def _error(part: SubtaskView) -> str:
    if part.error is None:
        return "no error that is known"
    return f"{part.error.get('type')}: {part.error.get('message')}"
