"""A worker process for work that must not harm this process, and our end of the pipe to it.

Code that decodes untrusted files may hang, crash, or use all memory; a process can be killed, and limited by
the kernel. Each worker has a pipe of its own, of which only it has the other end open: when it dies, we read
an end of file at once, even in the middle of a message. Workers that shared a pipe would share its lock too,
and a dying one could keep it.
"""

import multiprocessing
import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from pathlib import Path
from typing import Any

#: Not fork: it would copy this process's locks and sockets in any state.
_processes = multiprocessing.get_context("spawn")
#: Exit status of a worker whose owner has ended; no process reads it.
_ORPHANED = 0
#: When memory runs short the kernel ends a worker before its owner.
_FIRST_TO_GO = "1000"


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """Limits of one worker, which the kernel enforces."""

    #: Bytes of memory (`RLIMIT_DATA`): an allocation beyond it fails.
    memory_bytes: int
    #: Seconds of processor time for each piece of work; then the worker is killed.
    cpu_seconds: float


class WorkerDied(Exception):  # noqa: N818 - named as an event
    """The process ended before it answered; the text has its exit status (negative: a signal)."""


class WorkerSpent(WorkerDied):
    """The process was killed because the work took more processor time than it may."""


class WorkerProcess:
    """A worker process, started by its first work. All methods block; any thread may call `end`."""

    def __init__(self, work: Callable[..., Any], limits: WorkerLimits, *, name: str) -> None:
        self._connection, self._theirs = _processes.Pipe()
        self._process = _processes.Process(
            target=_serve, args=(self._theirs, work, limits), name=name, daemon=True
        )
        self._starting = threading.Lock()
        self._started = self._ended = False
        #: Number of pieces of work that it was given.
        self.tasks = 0

    def run(self, job: object, descriptor: int | None = None) -> Any:
        """Does one piece of work.

        Args:
            job: argument of `work`; it goes through a pipe.
            descriptor: descriptor of a file; `work` gets a descriptor of its own as its second argument,
                which is closed afterwards.

        Raises:
            WorkerSpent: it used more processor time than allowed.
            WorkerDied: the process died, or was ended.
            Exception: from `work`.
        """
        self._start()
        self.tasks += 1
        try:
            self._connection.send((job, descriptor is not None))
            if descriptor is not None:
                send_handle(self._connection, descriptor, self._process.pid)
            answer, error = self._connection.recv()
        except (EOFError, OSError) as wait_failed:
            self._process.join()
            status = self._process.exitcode
            death = WorkerSpent if status == -signal.SIGXCPU else WorkerDied
            raise death(f"exit status {status}") from wait_failed
        if error is not None:
            raise error
        return answer

    @property
    def alive(self) -> bool:
        """Whether the process runs, or will be started; it may have been killed while it was idle."""
        return not self._ended and (not self._started or self._process.is_alive())

    def end(self) -> None:
        """Kills the process, busy or not, and waits until it has ended."""
        with self._starting:
            self._ended = True
            if not self._started:
                self._connection.close()
                self._theirs.close()
                return
        self._process.kill()
        self._process.join()

    def _start(self) -> None:
        with self._starting:
            if self._ended:
                raise WorkerDied("ended before it began")
            if not self._started:
                self._process.start()
                self._theirs.close()
                self._started = True


def _serve(owner: Connection, work: Callable[..., Any], limits: WorkerLimits) -> None:
    """The loop of the process: work in, results or errors out, until the owner closes its end."""
    resource.setrlimit(resource.RLIMIT_DATA, (limits.memory_bytes, limits.memory_bytes))
    # A core dump of that size would fill a disk, and show untrusted content.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # only Linux has it, where any process may raise it
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)
    threading.Thread(target=_end_with_owner, name="end-with-owner", daemon=True).start()
    while True:
        try:
            job, with_file = owner.recv()
            descriptor = recv_handle(owner) if with_file else None
        except (EOFError, OSError):
            return
        _allow_seconds(limits.cpu_seconds)
        owner.send(_outcome(work, job, descriptor))


def _allow_seconds(seconds: float) -> None:
    # The limit counts from the start of the process, in whole seconds.
    at_most = ceil(time.process_time() + seconds)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (at_most, hard))


def _outcome(work: Callable[..., Any], job: object, descriptor: int | None) -> tuple[Any, Exception | None]:
    try:
        return (work(job) if descriptor is None else work(job, descriptor)), None
    except Exception as error:  # noqa: BLE001 - raised again by the owner
        return None, error
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _end_with_owner() -> None:
    # A killed owner cannot end its workers, and a worker that hangs would not notice.
    owner = multiprocessing.parent_process()
    if owner is not None:
        owner.join()
        os._exit(_ORPHANED)
