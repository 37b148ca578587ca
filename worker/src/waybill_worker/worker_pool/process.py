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
from asyncio import CancelledError
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
#: Answers a question of the work.
Answer = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """Limits of one worker, which the kernel enforces; None: no limit."""

    #: Bytes of memory (`RLIMIT_DATA`): an allocation beyond it fails.
    memory_bytes: int | None
    #: Seconds of processor time for each piece of work; then the worker is killed.
    cpu_seconds: float | None


class WorkerDied(Exception):  # noqa: N818 - named as an event
    """The process ended before it answered; the text has its exit status (negative: a signal)."""


class WorkerSpent(WorkerDied):
    """The process was killed because the work took more processor time than it may."""


@dataclass(frozen=True, slots=True)
class _Question:
    """Sent by a worker in the middle of its work; it waits for the answer."""

    text: Any


def unanswered(_question: object) -> Any:
    """The answers to work that is not expected to ask.

    Raises:
        RuntimeError: always.
    """
    raise RuntimeError("this work has nobody to ask")


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

    def run(self, job: object, descriptor: int | None = None, answer: Answer = unanswered) -> Any:
        """Does one piece of work.

        Args:
            job: argument of `work`; it goes through a pipe.
            descriptor: descriptor of a file; `work` gets a descriptor of its own as its second argument,
                which is closed afterwards.
            answer: called with each question that `work` asks; what it returns or raises is sent back.

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
            while isinstance(said := self._connection.recv(), _Question):
                _send(self._connection, _outcome(answer, said.text))
            result, error = said
        except (EOFError, OSError) as wait_failed:
            self._process.join()
            status = self._process.exitcode
            death = WorkerSpent if status == -signal.SIGXCPU else WorkerDied
            raise death(f"exit status {status}") from wait_failed
        if error is not None:
            raise error
        return result

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
    if limits.memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (limits.memory_bytes, limits.memory_bytes))
    # A core dump of that size would fill a disk, and show untrusted content.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # only Linux has it, where any process may raise it
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)
    threading.Thread(target=_end_with_owner, name="end-with-owner", daemon=True).start()
    _owners.append(owner)
    while True:
        try:
            job, with_file = owner.recv()
            descriptor = recv_handle(owner) if with_file else None
        except (EOFError, OSError):
            return
        if limits.cpu_seconds is not None:
            _allow_seconds(limits.cpu_seconds)
        _send(owner, _outcome(work, job, descriptor))


def _allow_seconds(seconds: float) -> None:
    # The limit counts from the start of the process, in whole seconds.
    at_most = ceil(time.process_time() + seconds)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (at_most, hard))


#: In a worker: its end of the pipe.
_owners: list[Connection] = []
_one_question = threading.Lock()


def ask_owner(question: object) -> Any:
    """Asks the process that waits for the work; to be called in a worker, by the work, from any thread.

    Args:
        question: it is pickled, and so is the answer.

    Raises:
        BaseException: what the owner's `answer` raised.
    """
    [owner] = _owners
    with _one_question:
        owner.send(_Question(question))
        answer, error = owner.recv()
    if error is not None:
        raise error
    return answer


def _send(other: Connection, outcome: tuple[Any, BaseException | None]) -> None:
    try:
        other.send(outcome)
    except OSError:
        raise
    except Exception as fault:  # noqa: BLE001 - pickling runs code of any type; nothing was sent
        other.send((None, RuntimeError(f"it cannot be sent to another process: {fault}")))


def _outcome(
    work: Callable[..., Any], job: object, descriptor: int | None = None
) -> tuple[Any, BaseException | None]:
    try:
        return (work(job) if descriptor is None else work(job, descriptor)), None
    except (Exception, CancelledError) as error:  # noqa: BLE001 - raised again by the other process
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
