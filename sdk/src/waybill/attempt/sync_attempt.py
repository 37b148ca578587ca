"""The attempt that a plain `def` handler runs."""

from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from waybill.attempt.attempt import AttemptFacts
from waybill.calls import Priority
from waybill_contracts.events import Event
from waybill_contracts.files import FileRef, ResultFile


class SyncFiles(Protocol):
    """The files of the task, for a plain `def` handler; see `AttemptFiles`, whose errors these raise, too.

    Each method raises `asyncio.CancelledError` if the attempt is to stop.
    """

    def read(self, file: FileRef | str, *, max_bytes: int = ...) -> bytes:
        """The content of a file of the task, given by its reference or key."""

    def open(self, file: FileRef | str) -> AbstractContextManager[Path]:
        """Copies a file of the task, of any size, to a temporary path; it is deleted at the end of the block.

        with attempt.files.open(event.picture) as path, Image.open(path) as picture:
            ...
        """

    def write(
        self, name: str, content: bytes | Path, *, content_type: str = "application/octet-stream"
    ) -> ResultFile:
        """Stores bytes, or the file at a path; it becomes part of the result if this attempt completes."""


class SyncAttempt(AttemptFacts, Protocol):
    """The attempt that a plain `def` handler runs, in a thread or a process; any thread of it may use this.

    Each method raises `asyncio.CancelledError` once the attempt has been asked to stop, because its task was
    cancelled or it exceeded its soft time limit. Nothing else can interrupt a plain function: one that takes
    long calls `checkpoint` now and then.

        def render(event: ReportRequested, attempt: SyncAttempt) -> dict[str, object]:
            for page in pages_of(event):
                attempt.checkpoint()
                draw(page)
            return {"pages": event.pages}
    """

    @property
    def files(self) -> SyncFiles:
        """The files of the task."""

    def begin_effect(self) -> None:
        """To be called right before an effect from which a repeat cannot be distinguished.

            attempt.begin_effect()
            send_letter(event.email)

        Raises:
            LeaseLostError: this run must not act any more.
            asyncio.CancelledError: the attempt is to stop; nothing was recorded.
        """

    def progress(self, share: float | None, text: str = "") -> None:
        """Reports how far the work is; see `Attempt.progress`.

        attempt.progress(0.4, "page 4 of 10")
        """

    def submit(
        self,
        event: Event,
        *,
        delay_seconds: float | None = None,
        send_at: datetime | None = None,
        priority: Priority = "normal",
    ) -> str:
        """Asks for a further task; see `Attempt.submit`.

        attempt.submit(EmailRequested(to=event.email, subject="Your invoice", text="It is here."))
        """

    def checkpoint(self) -> None:
        """Raises `asyncio.CancelledError` if the attempt is to stop.

        for page in pages_of(event):
            attempt.checkpoint()
            draw(page)
        """
