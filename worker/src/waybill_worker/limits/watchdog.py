"""The watchdog: a thread that ends the process when code blocks the event loop past its time limit.

Time limits work by cancelling, and code that never awaits (an endless loop, a call into a C library) cannot
be cancelled: then nothing in the process runs any more, no lease is renewed, no other attempt goes on. Only
the end of the process helps; its supervisor starts it again.

Before the end this thread records the attempt's outcome in the inbox, so that the next delivery of the
message finds it: the attempt exceeded its hard limit, and is retried by policy. If that is not possible (the
blocking code holds a lock that is needed for it), it counts as a run whose process died. Code that does not
release Python's own lock stops this thread too; the interpreter's `faulthandler`, which needs no lock, then
ends the process and writes the traceback.
"""

import asyncio
import faulthandler
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Final

from waybill_worker.observe import get_logger

log = get_logger(__name__)

#: Exit code of a process that ended for a hard time limit: sysexits.h EX_TEMPFAIL.
EXIT_HARD_LIMIT: Final = 75
#: Seconds between checks.
TICK_SECONDS: Final = 1.0
#: Checks in a row without an answer of the event loop. Checks, not seconds: a process that was suspended as
#: a whole gets a chance to answer.
SILENT_TICKS: Final = 5
#: Seconds that recording may take; nothing else runs meanwhile.
RECORD_SECONDS: Final = 5.0
#: Seconds past a hard limit after which the interpreter itself ends the process.
LAST_RESORT_SECONDS: Final = 30.0
_STANDARD_ERROR: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """An attempt under watch."""

    task_id: str
    kind: str
    attempt: int
    #: Time of its hard limit, on the clock of `time.monotonic`.
    hard_at: float
    #: Records that it exceeded its hard limit; callable from any thread.
    record: Callable[[], object]
    #: For the log, as the id.
    trace_id: str | None = None

    @property
    def is_late(self) -> bool:
        """Whether it runs past its hard limit."""
        return monotonic() > self.hard_at


class Watchdog:
    """Watches the attempts of one process.

    Args:
        end_process: ends it at once, with an exit code.
        tick_seconds: between checks.
    """

    def __init__(
        self, *, end_process: Callable[[int], object] = os._exit, tick_seconds: float = TICK_SECONDS
    ) -> None:
        self._end_process = end_process
        self._tick_seconds = tick_seconds
        self._watched: set[Watched] = set()
        self._answered = True
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to watch the running event loop."""
        loop = asyncio.get_running_loop()
        # With the fields that are bound to each log line of this process.
        watch = partial(copy_context().run, self._watch, loop)
        self._thread = threading.Thread(target=watch, name="watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stops watching."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    @contextmanager
    def watching(self, watched: Watched) -> Iterator[None]:
        """Watches one attempt for as long as the context is open."""
        self._watched.add(watched)
        try:
            yield
        finally:
            self._watched.discard(watched)

    def end_with_the_late(self) -> None:
        """Records attempts past their hard limit and ends the process, if there are any.

        For a process that has nothing else left to do: `stop` would wait for such an attempt in vain.
        """
        if late := self.late:
            self._end(late, "a handler does not end though it was cut off")

    @property
    def late(self) -> list[Watched]:
        """Attempts that run on past their hard limit."""
        return [watched for watched in tuple(self._watched) if watched.is_late]

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        silent = 0
        try:
            while not self._stop.wait(self._tick_seconds):
                silent = 0 if self._answered else silent + 1
                if silent >= SILENT_TICKS and (late := self.late):
                    self._end(late, "the event loop is blocked past a hard time limit")
                    return
                if self._answered:
                    self._answered = False
                    loop.call_soon_threadsafe(self._answer)
                self._set_last_resort()
        except RuntimeError:
            # The loop was closed between two checks: there is nothing left to watch.
            log.info("the event loop is gone; the watchdog ends")
        finally:
            faulthandler.cancel_dump_traceback_later()

    def _answer(self) -> None:
        self._answered = True

    def _set_last_resort(self) -> None:
        limits = [watched.hard_at for watched in tuple(self._watched)]
        if not limits:
            faulthandler.cancel_dump_traceback_later()
            return
        seconds = max(min(limits) - monotonic(), 0) + LAST_RESORT_SECONDS
        # To the file descriptor: Python's stream object may be replaced, or wait for a lock.
        faulthandler.dump_traceback_later(seconds, exit=True, file=_STANDARD_ERROR)

    def _end(self, late: list[Watched], why: str) -> None:
        recording = threading.Thread(target=_record_all, args=(late,), name="record", daemon=True)
        recording.start()
        recording.join(RECORD_SECONDS)
        for watched in late:
            log.critical(
                "ending the process: an attempt does not end",
                why=why,
                task_id=watched.task_id,
                trace_id=watched.trace_id,
                kind=watched.kind,
                attempt=watched.attempt,
                exit_code=EXIT_HARD_LIMIT,
            )
        sys.stdout.flush()
        self._end_process(EXIT_HARD_LIMIT)


def _record_all(late: list[Watched]) -> None:
    for watched in late:
        try:
            watched.record()
        except Exception:  # the process ends in any case; then it counts as a run whose process died
            log.exception(
                "the hard time limit could not be recorded",
                task_id=watched.task_id,
                trace_id=watched.trace_id,
            )
