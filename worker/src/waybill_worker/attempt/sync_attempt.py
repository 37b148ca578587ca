"""The attempt of a plain `def` handler, and its way to the event loop.

A plain handler gets an attempt of its own type, with the same names and no `await`. One type for both would
have methods that wait in one handler, and return something to be awaited in the other: a plain handler that
mixes them up would skip the record of its effect, and no type checker would notice.
"""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, Self

from waybill_contracts.events import Event
from waybill_contracts.files import FileRef, ResultFile
from waybill_worker.attempt.attempt import Attempt, AttemptFacts
from waybill_worker.files import MAX_READ_BYTES, NoObjectStoreError
from waybill_worker.outputs import Priority

#: Calls a method of the `Attempt` by its name, where the event loop is, and returns what comes of it.
Call = Callable[..., Any]
_CHECKPOINT: Final = "checkpoint"


def _to_nobody(method: str, *_arguments: object, **_named: object) -> None:
    """The calls of an attempt that no service runs: does nothing, as those of an `Attempt`."""
    if method.startswith("files."):
        raise NoObjectStoreError
    if method == "submit":
        raise RuntimeError("no service runs this attempt: nothing would accept the task")


@dataclass(frozen=True, slots=True)
class SyncAttempt(AttemptFacts):
    """The attempt that a plain `def` handler runs, in a thread or a process; any thread of it may use this.

    Each method raises `asyncio.CancelledError` once the attempt has been asked to stop, because its task was
    cancelled or it exceeded its soft time limit; the argument says which. Nothing else can interrupt a plain
    function: one that takes long calls `checkpoint` now and then.

    Example:
        def render(event: ReportRequested, attempt: SyncAttempt) -> dict[str, object]:
            for page in pages_of(event):
                attempt.checkpoint()
                draw(page)
            return {"pages": event.pages}
    """

    call: Call = field(default=_to_nobody, compare=False, repr=False)

    @classmethod
    def of(cls, facts: AttemptFacts, call: Call) -> Self:
        """The attempt with these facts, whose methods go through `call`."""
        return cls(**{each.name: getattr(facts, each.name) for each in fields(AttemptFacts)}, call=call)

    @property
    def files(self) -> "SyncFiles":
        """The files of the task: reads those that its event refers to, and writes files into the result."""
        return SyncFiles(self.call)

    def begin_effect(self) -> None:
        """To be called right before an effect from which a repeat cannot be distinguished.

        From then on the record says that it may have happened.

        Raises:
            LeaseLostError: this run must not act any more.
            asyncio.CancelledError: the attempt is to stop; nothing was recorded.
        """
        self.call("begin_effect")

    def progress(self, share: float | None, text: str = "") -> None:
        """Reports how far the work is; see `Attempt.progress`.

        Raises:
            asyncio.CancelledError: the attempt is to stop.
        """
        self.call("progress", share, text)

    def submit(
        self,
        event: Event,
        *,
        delay_seconds: float | None = None,
        send_at: datetime | None = None,
        priority: Priority = "normal",
    ) -> str:
        """Asks for a further task; see `Attempt.submit`.

        Raises:
            asyncio.CancelledError: the attempt is to stop.
            SubmissionRefusedError, SnoozeError, RuntimeError: as there.
        """
        how = {"delay_seconds": delay_seconds, "send_at": send_at, "priority": priority}
        id_: str = self.call("submit", event, **how)
        return id_

    def checkpoint(self) -> None:
        """Raises `asyncio.CancelledError` if the attempt is to stop."""
        self.call(_CHECKPOINT)


@dataclass(frozen=True, slots=True)
class SyncFiles:
    """The files of the task, for a plain `def` handler; see `AttemptFiles`, whose errors these raise, too.

    Each method raises `asyncio.CancelledError` if the attempt is to stop.
    """

    call: Call

    def read(self, file: FileRef | str, *, max_bytes: int = MAX_READ_BYTES) -> bytes:
        """The content of a file of the task, given by its reference or key."""
        content: bytes = self.call("files.read", file, max_bytes=max_bytes)
        return content

    @contextmanager
    def open(self, file: FileRef | str) -> Iterator[Path]:
        """Copies a file of the task, of any size, to a temporary path; it is deleted at the end of the block.

        with attempt.files.open(event.picture) as path, Image.open(path) as picture:
            ...
        """
        path: Path = self.call("files.copied", file)
        try:
            yield path
        finally:
            # Not by a call, which an attempt that is to stop refuses; what a killed process leaves is removed
            # with the attempt.
            path.unlink(missing_ok=True)

    def write(
        self, name: str, content: bytes | Path, *, content_type: str = "application/octet-stream"
    ) -> ResultFile:
        """Stores bytes, or the file at a path; it becomes part of the result if this attempt completes."""
        written: ResultFile = self.call("files.write", name, content, content_type=content_type)
        return written


class Portal:
    """Leads other threads to an attempt on the running event loop.

    Args:
        attempt: its methods are called.
    """

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._loop = asyncio.get_running_loop()
        self._stopped: str | None = None

    def stop(self, reason: str) -> None:
        """Lets each call from now on raise `CancelledError` with this reason."""
        self._stopped = reason

    def call(self, method: str, *arguments: Any, **named: Any) -> Any:
        """Calls a method of the attempt; for any thread but the loop's."""
        if self._stopped is not None:
            raise asyncio.CancelledError(self._stopped)
        if method == _CHECKPOINT:
            return None
        return asyncio.run_coroutine_threadsafe(self._called(method, arguments, named), self._loop).result()

    async def _called(self, method: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        result = attrgetter(method)(self._attempt)(*arguments, **named)
        return await result if inspect.isawaitable(result) else result
