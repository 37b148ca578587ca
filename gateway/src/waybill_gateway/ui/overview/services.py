"""The open work and the queues of each service. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from waybill_contracts.registry import Registry
from waybill_contracts.states import State
from waybill_contracts.wire import dead_letter_queue, work_queue
from waybill_gateway.stats import Seen
from waybill_ledger import QueueMeasured


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One service, its open subtasks and its queues."""

    name: str
    release: str | None
    is_retired: bool
    pending: int
    running: int
    retrying: int
    scheduled: int
    #: Since when its longest waiting subtask is pending.
    oldest: datetime | None
    #: None: unknown, because the broker is away, or not for this caller.
    queued: int | None
    consumers: int | None
    dead_letters: int | None


def services_of(measured: Seen | None, registry: Registry) -> Sequence[ServiceRow]:
    """A row for each registered service in use, and for each other one that has open work."""
    work = () if measured is None else measured.work
    open_of = {(part.service, part.state): part for part in work}
    in_use = {name for name, service in registry.services.items() if not service.is_retired}
    rows = []
    for name in sorted(in_use | {part.service for part in work}):
        known = registry.services.get(name)
        numbers = {state: open_of[name, state].subtasks if (name, state) in open_of else 0 for state in State}
        waits = open_of.get((name, State.PENDING))
        queue, letters = (_queue(measured, each(name)) for each in (work_queue, dead_letter_queue))
        may_know = measured is not None and measured.is_whole
        rows.append(
            ServiceRow(
                name=name,
                release=None if known is None else known.manifest.release,
                is_retired=known is None or known.is_retired,
                pending=numbers[State.PENDING],
                running=numbers[State.RUNNING],
                retrying=numbers[State.RETRYING],
                scheduled=numbers[State.SCHEDULED],
                oldest=None if waits is None else waits.oldest,
                queued=queue.messages if queue is not None and may_know else None,
                consumers=None if queue is None else queue.consumers,
                dead_letters=letters.messages if letters is not None and may_know else None,
            )
        )
    return rows


def _queue(measured: Seen | None, name: str) -> QueueMeasured | None:
    return None if measured is None or measured.queues is None else measured.queues.get(name)
