"""A few worker processes that are used again and again, at one piece of work each, with a deadline."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from waybill_worker.runtime.worker_process import WorkerDied, WorkerLimits, WorkerProcess


def usable_cores() -> int:
    """How many cores this process may use: fewer than the machine has, in a container with a CPU set."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class WorkerPoolOptions:
    """How much a pool may use."""

    limits: WorkerLimits
    #: By the clock, for each piece of work; then its worker is killed.
    seconds: float
    #: The work is all computing: one worker for each core that we may use.
    workers: int = field(default_factory=usable_cores)
    #: What a library leaks or fragments ends with its worker.
    tasks_per_worker: int = 1000


class WorkerPool:
    """Does blocking, dangerous work in processes, each started when work finds all others busy.

    Memory: of each worker at most what its limits say; of this process what was handed in and is not yet
    done, so bound that by the number of messages or requests taken at once.

    Args:
        work: a function of a module, called in the worker with the job, and with the descriptor of a file if
            one goes along. What it takes, returns and raises is pickled. Its module is imported in both
            processes, so what only the worker needs is best imported by the function.
        options: how much it may use.
        name: what the processes are called.
    """

    def __init__(self, work: Callable[..., Any], options: WorkerPoolOptions, *, name: str) -> None:
        self._work = work
        self._options = options
        self._name = name
        self._turns = asyncio.Semaphore(options.workers)
        self._idle: list[WorkerProcess] = []
        self._busy: set[WorkerProcess] = set()
        # One waits for each worker; a second, while the first still learns that its worker was ended.
        self._threads = ThreadPoolExecutor(2 * options.workers, thread_name_prefix=name)
        self._closed = False

    async def run(self, job: object, descriptor: int | None = None) -> Any:
        """Has one piece of work done; cancelling kills the worker that does it.

        Args:
            job: what the function is called with.
            descriptor: of a file that goes along; it stays open here, and must until this returns.

        Raises:
            TimeoutError: it took too long by the clock, which can be the machine's doing.
            WorkerSpent: it took too much processor time, which is the work's own doing.
            WorkerDied: its worker died.
            RuntimeError: the pool is closed.
            Exception: what the function raised.
        """
        loop = asyncio.get_running_loop()
        async with self._turns, self._worker() as worker, asyncio.timeout(self._options.seconds):
            # The worker's start, too: that takes the loop too long.
            return await loop.run_in_executor(self._threads, worker.run, job, descriptor)

    async def close(self) -> None:
        """Ends all workers, busy ones too. Can be called twice; no work is taken afterwards."""
        self._closed = True
        for worker in [*self._idle, *self._busy]:
            await asyncio.to_thread(worker.end)
        self._idle.clear()
        self._threads.shutdown(wait=False)

    @asynccontextmanager
    async def _worker(self) -> AsyncIterator[WorkerProcess]:
        """An idle worker, or a new one. Kept if it answered, if only with an error; else ended."""
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
