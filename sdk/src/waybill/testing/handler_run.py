"""Runs a handler with a made-up attempt: no broker, no database."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeVar

from waybill.definition import DefinitionError, Service, is_async
from waybill.testing.memory_files import MemoryFiles
from waybill_contracts.events import Event
from waybill_contracts.privacy import Keyring
from waybill_contracts.wire import ProgressInfo
from waybill_worker.attempt import Attempt, Portal, SyncAttempt
from waybill_worker.outcome import result_of
from waybill_worker.outputs import Priority, ProgressReports, Spawning

R = TypeVar("R")
#: Of the task of each attempt that is made up.
_TASK_ID: Final = "01a22a70-ebad-7341-b3c3-5bd5253e4852"


class Progress(NamedTuple):
    """A report of progress, within the limits.

    assert run.progress == [Progress(0.5, "page 1 of 2")]
    """

    #: Share of the work that is done, from 0 to 1; None: unknown.
    share: float | None
    text: str


class Spawned(NamedTuple):
    """A task that the handler submitted.

    assert [spawned.event.to for spawned in run.spawned] == ["ann@example.com"]
    """

    id: str
    event: Event
    delay_seconds: float | None
    send_at: datetime | None
    priority: Priority


@dataclass(frozen=True, slots=True)
class HandlerRun:
    """What a handler did.

    run = await run_handler(service, InvoiceRequested(order_id="17", email="ann@example.com"))
    assert run.result["order"] == "17"
    assert run.files["invoice.pdf"].startswith(b"%PDF")
    """

    #: As it is stored: plain JSON; `{}` if it returned nothing.
    result: dict[str, Any]
    attempt: Attempt
    #: All reports of progress; of a service at most one a second is sent.
    progress: list[Progress] = field(default_factory=list)
    #: What `attempt.submit` was called with, in order.
    spawned: list[Spawned] = field(default_factory=list)
    #: Name to content of the files that were written with `attempt.files`.
    files: dict[str, bytes] = field(default_factory=dict)
    #: Whether `attempt.begin_effect()` was awaited.
    effect_begun: bool = False


async def run_handler(
    service: Service[R],
    event: Event,
    *,
    resources: R | None = None,
    files: Mapping[str, bytes] | None = None,
    attempt: int = 1,
    snooze_no: int = 0,
    in_doubt: bool = False,
    deadline: datetime | None = None,
) -> HandlerRun:
    """Runs the handler of an event once, as the service would, but without I/O of Waybill's.

        run = await run_handler(service, InvoiceRequested(order_id="17", email="ann@example.com"), attempt=2)
        assert run.result["order"] == "17"

    Time limits do not apply. The event takes the way over the wire: it is written as JSON, checked against
    the contract, and read again.

    Args:
        service: the service.
        event: the event of the task.
        resources: what the handler gets as its third argument.
        files: key to content of the files that `attempt.files` reads; none is read from a store.
        attempt: number of the attempt, from 1.
        snooze_no: how often this attempt was snoozed before.
        in_doubt: whether an earlier attempt may have had its effect.
        deadline: no attempt starts after this.

    Raises:
        DefinitionError: the service does not handle the event, or the handler takes resources and none were
            given.
        ValueError: the contract does not allow the event, or the result would be left out.
        Exception: what the handler raises, as it is: PermanentError, Snooze …
    """
    handled = service.handler_of(type(event))
    if handled.takes_resources and resources is None:
        raise DefinitionError(f"the handler of {event.KIND} takes resources: run_handler(…, resources=…)")
    progress, spawning, begun = _NotedProgress(), _NotedSpawning(), _Begun()
    kept = MemoryFiles(_TASK_ID, files or {})
    made = Attempt(
        _TASK_ID,
        service.name,
        event.KIND,
        _TASK_ID,
        attempt,
        handled.options.stated(service.settings).attempts or attempt,
        0,
        deadline,
        snooze_no=snooze_no,
        in_doubt=in_doubt,
        begin_effect=begun,
        progress_reports=progress,
        spawning=spawning,
        files=kept,
    )
    sent = _sent(handled.contract, event)
    more = (resources,) if handled.takes_resources else ()
    try:
        if is_async(handled.function):
            returned = await handled.function(sent, made, *more)
        else:
            plain = SyncAttempt.of(made, Portal(made).call)
            returned = await asyncio.to_thread(handled.function, sent, plain, *more)
    finally:
        kept.remove_copies()
    result = result_of(returned)
    if returned is not None and "omitted" in result and "omitted" not in returned:
        raise ValueError(result["omitted"])
    return HandlerRun(
        kept.in_result(result), made, progress.noted, spawning.noted, kept.written, begun.is_set
    )


def _sent(contract: Any, event: Event) -> Event:
    data = event.model_dump(mode="json", exclude_defaults=True)
    if faults := contract.faults(data):
        said = "; ".join(f"{fault.pointer or '/'}: {fault.message}" for fault in faults)
        raise ValueError(f"the gateway would refuse this event: {said}")
    return type(event).model_validate_json(event.model_dump_json(exclude_defaults=True))


class _NotedProgress(ProgressReports):
    """Keeps every report, and sends none."""

    def __init__(self) -> None:
        self.noted: list[Progress] = []

    def report(self, share: float | None, text: str) -> None:
        info = ProgressInfo.of(share, text)
        self.noted.append(Progress(info.share, info.text))


class _NotedSpawning(Spawning):
    """Checks what is submitted as a service does, and keeps it."""

    def __init__(self) -> None:
        keyring = Keyring.of(Keyring.new_key())
        super().__init__(_TASK_ID, _TASK_ID, keyring=lambda: keyring, now=lambda: datetime.now(UTC))
        self.noted: list[Spawned] = []

    def submit(
        self,
        event: Event,
        *,
        delay_seconds: float | None = None,
        send_at: datetime | None = None,
        priority: Priority = "normal",
    ) -> str:
        id_ = super().submit(event, delay_seconds=delay_seconds, send_at=send_at, priority=priority)
        self.noted.append(Spawned(id_, event, delay_seconds, send_at, priority))
        return id_


class _Begun:
    """Notes that the effect begins."""

    def __init__(self) -> None:
        self.is_set = False

    async def __call__(self) -> None:
        self.is_set = True
