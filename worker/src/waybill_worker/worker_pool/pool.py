"""A pool of worker processes: each does one piece of work at a time, with a deadline."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from waybill_worker.worker_pool.process import Answer, WorkerDied, WorkerLimits, WorkerProcess, unanswered


def usable_cores() -> int:
    """The number of cores that this process may use: in a container with a CPU set, fewer than exist."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class WorkerPoolOptions:
    """Limits of a pool."""

    limits: WorkerLimits
    #: Wall-clock seconds for each piece of work; then its worker is killed. None: who waits for it decides.
    seconds: float | None
    #: The work is computing: one worker for each usable core.
    workers: int = field(default_factory=usable_cores)
    #: Memory that a library leaks or fragments ends with its worker.
    tasks_per_worker: int = 1000


class WorkerPool:
    """Does blocking, dangerous work in processes, each started when all others are busy.

    Memory: each worker uses at most its limit; this process holds the jobs that are not yet done, so limit
    the number of messages or requests that are handled at once.

    Args:
        work: a function of a module, called in the worker with the job, and with a file descriptor if there
            is one. Its argument, result and errors are pickled. Its module is imported in both processes, so
            what only the worker needs is best imported by the function.
        options: limits of the pool.
        name: name of the processes.
    """

    def __init__(self, work: Callable[..., Any], options: WorkerPoolOptions, *, name: str) -> None:
        self._work = work
        self._options = options
        self._name = name
        self._turns = asyncio.Semaphore(options.workers)
        self._idle: list[WorkerProcess] = []
        self._busy: set[WorkerProcess] = set()
        # One thread waits for each worker; a second one while the first still notices the end of its worker.
        self._threads = ThreadPoolExecutor(2 * options.workers, thread_name_prefix=name)
        self._closed = False

    async def run(self, job: object, descriptor: int | None = None, *, answer: Answer = unanswered) -> Any:
        """Does one piece of work; cancelling kills its worker.

        Args:
            job: argument of the function.
            descriptor: descriptor of a file for the function; it stays open here until this returns.
            answer: called in another thread with each question of the function (`ask_owner`).

        Raises:
            TimeoutError: it took too much time by the clock; a busy machine can be the reason.
            WorkerSpent: it took too much processor time; the work itself is the reason.
            WorkerDied: its worker died.
            RuntimeError: the pool is closed.
            Exception: from the function.
        """
        loop = asyncio.get_running_loop()
        async with self._turns, self._worker() as worker, asyncio.timeout(self._options.seconds):
            # In a thread also for the start of the worker, which would block the loop.
            return await loop.run_in_executor(self._threads, worker.run, job, descriptor, answer)

    async def close(self) -> None:
        """Ends all workers, busy ones too. Can be called twice; afterwards no work is accepted."""
        self._closed = True
        for worker in [*self._idle, *self._busy]:
            await asyncio.to_thread(worker.end)
        self._idle.clear()
        self._threads.shutdown(wait=False)

    @asynccontextmanager
    async def _worker(self) -> AsyncIterator[WorkerProcess]:
        """An idle worker, or a new one; kept if it answered, also with an error; else ended."""
        if self._closed:
            raise RuntimeError("this pool is closed")
        worker = self._idle_worker() or WorkerProcess(self._work, self._options.limits, name=self._name)
        self._busy.add(worker)
        answered = False
        try:
            yield worker
            answered = True
        except (TimeoutError, WorkerDied, MemoryError):
            raise
        except Exception:
            answered = True
            raise
        finally:
            self._busy.discard(worker)
            if answered and worker.tasks < self._options.tasks_per_worker and not self._closed:
                self._idle.append(worker)
            else:
                # Shielded: a second cancellation must not leave the process running.
                await asyncio.shield(asyncio.to_thread(worker.end))

    def _idle_worker(self) -> WorkerProcess | None:
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
        return None
