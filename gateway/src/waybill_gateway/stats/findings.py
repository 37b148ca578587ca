"""What is wrong now, the worst first, each with the page that helps. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from urllib.parse import urlencode

from waybill_contracts.registry import Registry
from waybill_contracts.states import State
from waybill_contracts.wire import dead_letter_queue, work_queue
from waybill_gateway.desk import GroupView
from waybill_gateway.stats.measured import Seen
from waybill_gateway.stats.models import FindingView
from waybill_gateway.words import duration, relative
from waybill_ledger import OpenWork, QueueMeasured

#: Seconds that work may wait before it is found.
LAG_SECONDS: Final = 60
#: Seconds after which a measurement is too old: the status service measures several times as often, and less
#: often only where there is very much to count.
STALE_SECONDS: Final = 180
#: Letters of a group that are not done with.
_OPEN_LETTERS: Final = ("dead", "redriving")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at the installation."""

    #: The last measurement; None: there is none yet.
    measured: Seen | None
    #: Groups of failures that are open, the regressed ones first; some of them, if there are many.
    groups: Sequence[GroupView]
    #: Whether both were read; otherwise there may be more than what is found.
    is_whole: bool
    broker_is_connected: bool


def findings(seen: Snapshot, now: datetime, registry: Registry) -> list[FindingView]:
    """Tasks without a known place, what is away or stands still, failures."""
    measured = seen.measured
    is_unread = measured is None and not seen.is_whole
    found = [] if is_unread else [*_stale(measured, now)]
    if measured is not None:
        found = [*_unplaced(measured), *found]
    found += _away(seen)
    if measured is not None:
        found += [
            *_unpublished(measured, now),
            *_standing_still(measured, now, registry),
            *_letters_waiting(measured, now, registry),
        ]
    return [*found, *_failures(seen, now)]


def _found(weight: Literal["bad", "warn"], title: str, words: str, page: str, **query: Any) -> FindingView:
    return FindingView(
        weight=weight, title=title, words=words, page=page + (f"?{urlencode(query)}" if query else "")
    )


def _stale(measured: Seen | None, now: datetime) -> Iterator[FindingView]:
    if measured is None:
        yield _found(
            "warn",
            "The status service has measured nothing yet",
            "It records the outcomes of tasks: does it run?",
            "/ui",
        )
    elif (age := (now - measured.at).total_seconds()) > STALE_SECONDS:
        yield _found(
            "bad",
            f"The status service has not measured for {duration(age)}",
            "It records the outcomes of tasks: does it run, and does it reach the ledger? What is shown as "
            "open is as old as that.",
            "/ui",
        )


def _unplaced(measured: Seen) -> Iterator[FindingView]:
    if measured.gaps:
        number, first = sum(gap.tasks for gap in measured.gaps), measured.gaps[0].first
        yield _found(
            "bad",
            f"{number:,} of the last day's tasks cannot be placed",
            f"The first: {'; '.join(first.reasons)}.",
            f"/ui/tasks/{first.task_id}",
        )


def _away(seen: Snapshot) -> Iterator[FindingView]:
    if not seen.broker_is_connected:
        yield _found(
            "warn",
            "The broker cannot be reached from here",
            "Tasks are accepted and stored; they are published when it is back.",
            "/ui/tasks",
            state=State.PENDING.value,
        )


def _unpublished(measured: Seen, now: datetime) -> Iterator[FindingView]:
    since = measured.oldest_unpublished
    if not measured.is_whole or since is None:
        return
    if (waited := (now - since).total_seconds()) > LAG_SECONDS:
        yield _found(
            "warn",
            f"{measured.unpublished:,} due tasks are not known to be at the broker",
            f"The oldest was due {duration(waited)} ago. They are stored, and published once the broker "
            "takes them.",
            "/ui/tasks",
            state=State.PENDING.value,
        )


def _standing_still(measured: Seen, now: datetime, registry: Registry) -> Iterator[FindingView]:
    runs = {part.service for part in measured.work if part.state is State.RUNNING}
    waits = {part.service: part for part in measured.work if part.state is State.PENDING}
    in_use = {name for name, service in registry.services.items() if not service.is_retired}
    for service in sorted(in_use | waits.keys()):
        part = waits.get(service)
        has_nobody = service in in_use and _is_idle(measured, work_queue(service), now)
        waited = 0.0 if part is None else (now - part.oldest).total_seconds()
        if not has_nobody and waited < LAG_SECONDS:
            continue
        yield _found(
            "warn" if service in runs or part is None else "bad",
            _title(service, part, waited),
            _why(service in runs, service in in_use, has_nobody),
            "/ui/tasks",
            service=service,
            state=State.PENDING.value,
        )


def _title(service: str, part: OpenWork | None, waited: float) -> str:
    if part is None:
        return f"No process of {service} takes work"
    return f"{service}: {part.subtasks:,} wait, the oldest for {duration(waited)}"


def _why(runs: bool, is_in_use: bool, has_nobody: bool) -> str:  # noqa: FBT001 - what is known of a service
    if has_nobody:
        return "Nothing consumes its queue: does a process of it run, and does it reach the broker?"
    if not is_in_use:
        return "It is retired, or was never registered."
    if runs:
        return "It works, but not as fast as tasks come."
    return "It works on nothing: does a process of it run, and does it reach the broker?"


def _letters_waiting(measured: Seen, now: datetime, registry: Registry) -> Iterator[FindingView]:
    queues = measured.queues or {}
    names = [dead_letter_queue(service) for service in registry.services]
    waiting = sum(queues[name].messages for name in names if _is_idle(measured, name, now))
    if waiting and measured.is_whole:
        yield _found(
            "bad",
            f"{waiting:,} dead letters wait for the failure desk",
            "Nothing takes them in: does the service deadletters run?",
            "/ui/failures",
        )


def _is_idle(measured: Seen, queue: str, now: datetime) -> bool:
    """Whether a queue has had no consumer for longer than a process takes to start again."""
    found: QueueMeasured | None = (measured.queues or {}).get(queue)
    if found is None or found.consumers:
        return False
    return found.idle_since is None or (now - found.idle_since).total_seconds() > LAG_SECONDS


def _failures(seen: Snapshot, now: datetime) -> Iterator[FindingView]:
    for group in seen.groups:
        number = sum(count for state, count in group.letters.items() if state.value in _OPEN_LETTERS)
        came_back = "It had been closed, and came back. " if group.state.value == "regressed" else ""
        yield _found(
            "bad",
            f"{group.service}: {number:,} failed for good with {group.error_type}",
            f"{came_back}{group.message}, last {relative(group.last_seen, now)}",
            f"/ui/failures/{group.id}",
        )
