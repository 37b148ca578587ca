"""The parent: starts the processes, starts those again that end, and stops them all.

It forks, so that what was imported is in memory once. Therefore it has no event loop and no thread, then and
later: a copy of these would not work.
"""

import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final, NoReturn

import structlog

from waybill_worker.observe import forget_gauges, get_logger, share_metrics
from waybill_worker.prefork.exit_codes import EXIT_BROKEN, EXIT_MISCONFIGURED
from waybill_worker.prefork.folder import Folder
from waybill_worker.prefork.siblings import Siblings, become

log = get_logger(__name__)

#: Deaths of one process in a row, each before it had begun to work, after which nothing is tried any more.
MOST_FAILED_STARTS: Final = 5
#: Seconds before a process is started again, which double with each end of it in a row; and the most.
FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 30.0
#: A process that has lived for so many seconds is started again at once.
STEADY_SECONDS: Final = 60.0
#: Seconds beyond the time in which each process ends by itself; then it is killed.
KILL_MARGIN: Final = 2.0

_STOPS: Final = frozenset({signal.SIGTERM, signal.SIGINT})
_WATCHED: Final = _STOPS | {signal.SIGCHLD}


@dataclass(slots=True)
class _Place:
    """One of the processes, whichever runs as this number."""

    number: int
    pid: int | None = None
    since: float = 0.0
    #: When it is to be started again; None: it runs, or is not started any more.
    due: float | None = 0.0
    #: How often it ended in a row without having lived for long; and without having begun to work.
    ends: int = 0
    failed_starts: int = 0


def run_processes(
    work: Callable[[], object],
    *,
    processes: int,
    stop_seconds: float,
    listener: socket.socket | None = None,
) -> NoReturn:
    """Runs `work` in so many processes until SIGTERM or SIGINT, and exits.

    With 0 if all have ended in order; with 78 as soon as one ends with 78: people must correct something;
    with 70 if one cannot be started, or did not end in order when it was to stop.

    Args:
        work: of each process; it ends by SystemExit with the exit code, or by returning.
        processes: how many.
        stop_seconds: the longest that one of them takes to stop.
        listener: closed as soon as all are to stop; they have inherited it, and close it themselves.
    """
    with Folder.fresh() as folder:
        code = _Parent(work, folder, processes, stop_seconds, listener).run()
    sys.exit(code)


class _Parent:
    def __init__(
        self,
        work: Callable[[], object],
        folder: Folder,
        processes: int,
        stop_seconds: float,
        listener: socket.socket | None,
    ) -> None:
        self._work = work
        self._folder = folder
        self._places = [_Place(number + 1) for number in range(processes)]
        self._stop_seconds = stop_seconds
        self._listener = listener
        self._code = 0
        self._stop_requested = False
        self._kill_at: float | None = None
        # They can be read once this process has ended, which is the last that can write.
        self._alive, self._alive_here = os.pipe()

    def run(self) -> int:
        """Returns the exit code once all processes have ended."""
        with self._signals() as woken:
            while self._kill_at is None or any(place.pid for place in self._places):
                self._start_due()
                _wait(woken, self._pause())
                # First: if the signal went to all of a group, those that have ended by it stay ended.
                if self._stop_requested and self._kill_at is None:
                    log.info("stopping", processes=len(self._places))
                    self._stop()
                self._reap()
                if self._kill_at is not None and time.monotonic() > self._kill_at:
                    self._kill()
        return self._code

    @contextmanager
    def _signals(self) -> Iterator[socket.socket]:
        """A socket that can be read when a signal has come."""
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        theirs.settimeout(0)
        with ours, theirs:
            for number in _WATCHED:
                signal.signal(number, self._noted)
            signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
            yield ours
            signal.set_wakeup_fd(-1)

    def _noted(self, number: int, _frame: FrameType | None) -> None:
        self._stop_requested = self._stop_requested or number in _STOPS

    def _pause(self) -> float | None:
        """Seconds until something is to be done; None: until a signal comes."""
        times = [place.due for place in self._places if place.due is not None]
        if self._kill_at is not None:
            times.append(self._kill_at)
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _start_due(self) -> None:
        for place in self._places:
            if place.due is not None and place.due <= time.monotonic():
                self._start(place)

    def _start(self, place: _Place) -> None:
        sys.stdout.flush()
        # A signal that came before the process has set its own handlers must not be taken by those of here.
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        try:
            pid = os.fork()
            if not pid:
                self._be(place.number)
        except OSError as error:
            log.warning("a process cannot be started now, trying again", number=place.number, error=error)
            place.ends += 1
            place.due = time.monotonic() + _pause_after(place.ends)
            return
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
        place.pid, place.since, place.due = pid, time.monotonic(), None
        self._folder.started(place.number, pid)

    def _be(self, number: int) -> NoReturn:
        """The life of a process; what the parent does when it ends is not for it."""
        code = EXIT_BROKEN
        try:
            signal.set_wakeup_fd(-1)
            for each in _WATCHED:
                signal.signal(each, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
            os.close(self._alive_here)
            structlog.contextvars.bind_contextvars(pid=os.getpid())
            share_metrics(self._folder.path, number)
            become(Siblings(self._folder, number, len(self._places), self._alive))
            self._work()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else EXIT_BROKEN if ended.code else 0
        except BaseException as error:
            log.critical("ending after an unexpected error", exc_info=error)
        finally:
            sys.stdout.flush()
            os._exit(code)

    def _reap(self) -> None:
        running = {place.pid: place for place in self._places if place.pid is not None}
        while running:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            # Others are what our processes left behind, if this one is the first of a container.
            if (place := running.pop(pid, None)) is not None:
                self._ended(place, pid, os.waitstatus_to_exitcode(status))

    def _ended(self, place: _Place, pid: int, code: int) -> None:
        has_begun = self._folder.begun(place.number).exists()
        place.pid = None
        forget_gauges(self._folder.path, place.number)
        self._folder.ended(place.number, pid)
        if self._kill_at is not None:
            self._ended_at_stop(pid, code)
        elif code == EXIT_MISCONFIGURED:
            # The process has said why.
            self._stop(code)
        else:
            self._restart(place, pid, code, has_begun=has_begun)

    def _restart(self, place: _Place, pid: int, code: int, *, has_begun: bool) -> None:
        place.ends = 0 if time.monotonic() - place.since > STEADY_SECONDS else place.ends + 1
        place.failed_starts = 0 if has_begun else place.failed_starts + 1
        if place.failed_starts >= MOST_FAILED_STARTS:
            log.critical("a process cannot be started: ending", number=place.number, exit_code=code)
            self._stop(EXIT_BROKEN)
            return
        pause = _pause_after(place.ends)
        place.due = time.monotonic() + pause
        log.error(
            "a process has ended; starting it again",
            number=place.number,
            ended_pid=pid,
            exit_code=code,
            pause_seconds=pause,
        )

    def _ended_at_stop(self, pid: int, code: int) -> None:
        # By a signal: it came before the process had begun to handle signals.
        if code in {0, -signal.SIGTERM, -signal.SIGINT} or self._code:
            return
        log.error("a process did not end in order", ended_pid=pid, exit_code=code)
        self._code = code if code == EXIT_MISCONFIGURED else EXIT_BROKEN

    def _stop(self, code: int = 0) -> None:
        self._code = code
        self._kill_at = time.monotonic() + self._stop_seconds + KILL_MARGIN
        if self._listener is not None:
            self._listener.close()
        for place in self._places:
            place.due = None
            if place.pid is not None:
                os.kill(place.pid, signal.SIGTERM)

    def _kill(self) -> None:
        self._kill_at = time.monotonic() + KILL_MARGIN
        for place in self._places:
            if place.pid is not None:
                log.error("a process does not end; killing it", ended_pid=place.pid)
                os.kill(place.pid, signal.SIGKILL)


def _pause_after(ends: int) -> float:
    """Seconds to wait after so many ends in a row."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (ends - 1)) if ends else 0.0


def _wait(woken: socket.socket, seconds: float | None) -> None:
    """Waits for a signal."""
    readable, _, _ = select.select([woken], [], [], seconds)
    if readable:
        woken.recv(4096)
