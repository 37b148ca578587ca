"""The attempt that a handler runs."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from waybill_contracts.events import Event
from waybill_worker.files import AttemptFiles
from waybill_worker.limits import uncancellable
from waybill_worker.outputs import Priority, ProgressReports, Spawning

Value = TypeVar("Value")


async def _unrecorded() -> None:
    """The `begin_effect` of an attempt without an inbox: does nothing."""


@dataclass(frozen=True, slots=True)
class AttemptFacts:
    """What a handler gets to know of the attempt that it runs."""

    task_id: str
    service: str
    kind: str
    correlation_id: str
    #: Counted from 1, by us; a redelivery of the same message has the same number.
    attempt: int
    max_attempts: int
    #: How often an operator has redriven this subtask.
    redrive_no: int
    #: No attempt starts after this; None: no limit.
    deadline: datetime | None
    #: How often an operator has edited the payload.
    edit_no: int = 0
    #: How often this attempt was put off before.
    snooze_no: int = 0
    #: An earlier run or attempt may have had its effect, from which a repeat cannot be distinguished.
    in_doubt: bool = False

    @property
    def effect_key(self) -> str:
        """The idempotency key of this subtask's effect, by which other systems recognise a repeat.

        All attempts and redrives share one key, because the effect is meant to happen once. An edited
        payload is another effect: under the old key its receiver would refuse it, or return the old answer.
        """
        key = f"{self.task_id}.{self.service}"
        return f"{key}.edit-{self.edit_no}" if self.edit_no else key


@dataclass(frozen=True, slots=True)
class Attempt(AttemptFacts):
    """One run of a handler for one subtask; no broker types, so handlers are tested without a broker."""

    #: To be awaited right before an effect from which a repeat cannot be distinguished: from then on the
    #: record says that it may have happened. Raises LeaseLostError if this run must not act any more.
    begin_effect: Callable[[], Awaitable[None]] = field(default=_unrecorded, compare=False)
    #: The files of the task: reads those that its event refers to, and writes files into the result.
    files: AttemptFiles = field(default_factory=AttemptFiles, compare=False, repr=False)
    #: Sends what `progress` reports; None: nothing is sent.
    progress_reports: ProgressReports | None = field(default=None, compare=False, repr=False)
    #: Collects what `submit` asks for; None: this attempt is not run by a service.
    spawning: Spawning | None = field(default=None, compare=False, repr=False)

    async def progress(self, share: float | None, text: str = "") -> None:
        """Reports how far the work is; it never fails, and costs no time.

        Shown in the task and in its timeline. Only the latest report counts: at most one a second is sent,
        and the outcome makes what was not sent yet obsolete. It is also a heartbeat: work of hours is not
        taken for lost.

        Args:
            share: share of the work that is done, from 0 to 1; None: unknown.
            text: a few words, such as `page 4 of 10`; cut after 200 characters, sensitive values hidden.
        """
        if self.progress_reports is not None:
            self.progress_reports.report(share, text)

    def submit(
        self,
        event: Event,
        *,
        delay_seconds: float | None = None,
        send_at: datetime | None = None,
        priority: Priority = "normal",
    ) -> str:
        """Asks for a further task: it is accepted together with the outcome of this attempt, or not at all.

        Nothing of what an attempt submits is accepted unless its handler completes; a repeat of the attempt
        makes no task twice, because it gives the same ids in the same order.

        Args:
            event: the event of the task.
            delay_seconds: not before so many seconds from now.
            send_at: not before this time, which has a zone; one of the two.
            priority: `low` waits until its services have no other work, `high` overtakes.

        Returns:
            The id of the task, for results and links; it exists once this attempt has completed.

        Raises:
            SubmissionRefusedError: more than 1,000 tasks or 2 MiB an attempt, or no valid event. Permanent.
            SnoozeError: the event has sensitive fields, and this service has no key to seal them.
            RuntimeError: the handler has returned, or no service runs this attempt.
        """
        if self.spawning is None:
            raise RuntimeError("no service runs this attempt: nothing would accept the task")
        return self.spawning.submit(event, delay_seconds=delay_seconds, send_at=send_at, priority=priority)

    async def irrevocably(self, effect: Coroutine[Any, Any, Value]) -> Value:
        """Awaits an effect that cannot be undone half-way: neither a cancellation nor the soft limit ends it.

        The attempt is then completed with what it returns; the hard limit still cuts it off.

            answer = await attempt.irrevocably(client.put(url, json=record))
        """
        return await uncancellable(effect)
