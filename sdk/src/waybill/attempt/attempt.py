"""The attempt that an async handler runs.

It is stated here without what runs a service, so that a web application can import the functions whose tasks
it submits. The worker has the class that fulfils it.
"""

from collections.abc import Awaitable, Coroutine
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from waybill.calls import Priority
from waybill_contracts.events import Event
from waybill_contracts.files import FileRef, ResultFile

Value = TypeVar("Value")


class AttemptFacts(Protocol):
    """What a handler gets to know of the attempt that it runs."""

    @property
    def task_id(self) -> str:
        """Id of the task."""

    @property
    def service(self) -> str:
        """Name of the service."""

    @property
    def kind(self) -> str:
        """Kind of the task."""

    @property
    def correlation_id(self) -> str:
        """What the caller gave to find its tasks by, else the id of the task."""

    @property
    def attempt(self) -> int:
        """Number of this attempt, from 1; a redelivery of the same message has the same number."""

    @property
    def max_attempts(self) -> int:
        """Most attempts of the task."""

    @property
    def redrive_no(self) -> int:
        """How often an operator has redriven this subtask."""

    @property
    def deadline(self) -> datetime | None:
        """No attempt starts after this; None: no limit."""

    @property
    def edit_no(self) -> int:
        """How often an operator has edited the payload."""

    @property
    def snooze_no(self) -> int:
        """How often this attempt was put off before."""

    @property
    def in_doubt(self) -> bool:
        """Whether an earlier run may have had its effect, from which a repeat cannot be distinguished."""

    @property
    def effect_key(self) -> str:
        """The idempotency key of this subtask's effect, by which other systems recognise a repeat.

        All attempts and redrives share one key, because the effect is meant to happen once. An edited
        payload is another effect.
        """


class AttemptFiles(Protocol):
    """Reads the files that a task refers to, and writes files into its result.

    document = await attempt.files.read(event.document)
    await attempt.files.write("invoice.pdf", pdf, content_type="application/pdf")
    """

    async def read(self, file: FileRef | str, *, max_bytes: int = ...) -> bytes:
        """The content of a file of the task, given by its reference or key.

        Raises:
            PermanentError: there is no such file (any more), or it has more than `max_bytes` (64 MiB).
            SnoozeError: the object store is away, refuses us, or the service has none.
        """

    def open(self, file: FileRef | str) -> AbstractAsyncContextManager[Path]:
        """Copies a file of the task, of any size, to a temporary path; it is deleted at the end of the block.

        async with attempt.files.open(event.picture) as path:
            ...
        """

    async def write(
        self, name: str, content: bytes | Path, *, content_type: str = "application/octet-stream"
    ) -> ResultFile:
        """Stores bytes, or the file at a path; it becomes part of the result if this attempt completes.

        Args:
            name: letters, digits, `.`, `_` and `-`, at most 128; unique in the service's part of the task.
            content: the bytes, or the path of a file.
            content_type: media type.

        Raises:
            ValueError: name or type is malformed, the name shows what is sensitive, or there are more than
                100 files.
            SnoozeError: the object store is away, refuses us, or the service has none.
        """


class Attempt(AttemptFacts, Protocol):
    """One run of an async handler for one task.

    @service.handles(InvoiceRequested)
    async def render(event: InvoiceRequested, attempt: Attempt) -> dict[str, object]:
        await attempt.progress(0.5, "page 1 of 2")
        return {"key": attempt.effect_key}
    """

    @property
    def files(self) -> AttemptFiles:
        """The files of the task."""

    def begin_effect(self) -> Awaitable[None]:
        """To be awaited right before an effect from which a repeat cannot be distinguished.

            await attempt.begin_effect()
            send_letter(event.email)

        From then on the record says that it may have happened.

        Raises:
            LeaseLostError: this run must not act any more.
        """

    async def progress(self, share: float | None, text: str = "") -> None:
        """Reports how far the work is; it never fails, and costs no time.

            await attempt.progress(0.4, "page 4 of 10")

        Shown in the task and in its timeline. Only the latest report counts: at most one a second is sent. It
        is also a heartbeat: work of hours is not taken for lost.

        Args:
            share: share of the work that is done, from 0 to 1; None: unknown.
            text: a few words, such as `page 4 of 10`; cut after 200 characters, sensitive values hidden.
        """

    def submit(
        self,
        event: Event,
        *,
        delay_seconds: float | None = None,
        send_at: datetime | None = None,
        priority: Priority = "normal",
    ) -> str:
        """Asks for a further task: it is accepted together with the outcome of this attempt, or not at all.

            attempt.submit(EmailRequested(to=event.email, subject="Your invoice", text="It is here."))

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
            PermanentError: more than 1,000 tasks or 2 MiB an attempt, or no valid event.
            SnoozeError: the event has sensitive fields, and this service has no key to seal them.
            RuntimeError: the handler has returned, or no service runs this attempt.
        """

    async def irrevocably(self, effect: Coroutine[Any, Any, Value]) -> Value:
        """Awaits an effect that cannot be undone half-way: neither a cancellation nor the soft limit ends it.

        The attempt is then completed with what it returns; the hard limit still cuts it off.

            answer = await attempt.irrevocably(client.put(url, json=record))
        """
