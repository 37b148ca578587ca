"""Runs `render` in worker processes: a file that crashes or hangs a decoder takes only its worker along."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from chassis.errors import HandlerError, HardTimeLimitExceeded, TransientError
from contracts.images import ImageLimits
from images_service.render_worker import RenderWorker, WorkerDied
from images_service.rendering import RenderedVariant


def usable_cores() -> int:
    """How many cores this process may use: fewer than the machine has, in a container with a CPU set."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class RenderPoolOptions:
    """How much a pool may use. Every field can be set by an operator."""

    #: Rendering is all computing: one worker for each core that we may use.
    workers: int = field(default_factory=usable_cores)
    #: Threads of libvips in each worker; more than 1 only helps a service that is mostly idle.
    threads_per_worker: int = 1
    #: A hundred megapixels take about 3 s; a busy machine gets ten times that.
    seconds_per_image: float = 30.0
    #: A worker gets no more, and the image is refused. 98 megapixels of progressive JPEG took 800 MB.
    bytes_per_worker: int = 2 * 1024**3
    #: What a decoder leaks or fragments ends with its worker.
    images_per_worker: int = 1000


class RenderPool:
    """Renders on worker processes, each started when an image finds all others busy.

    Memory: of each worker at most `bytes_per_worker`, about 130 MB between images; of this process the files
    that were handed in and are not yet rendered, so bound those by the number of messages taken at once.
    """

    def __init__(self, limits: ImageLimits, options: RenderPoolOptions | None = None) -> None:
        self._limits = limits
        self._options = options or RenderPoolOptions()
        self._turns = asyncio.Semaphore(self._options.workers)
        self._idle: list[RenderWorker] = []
        self._busy: set[RenderWorker] = set()
        # One waits for each worker; a second, while the first still learns that its worker was ended.
        self._threads = ThreadPoolExecutor(2 * self._options.workers, thread_name_prefix="render-pool")
        self._closed = False

    async def render(self, data: bytes, presets: Sequence[str]) -> list[RenderedVariant]:
        """Does what `images_service.rendering.render` does, elsewhere.

        Cancelling ends the worker that renders it.

        Args:
            data: the original file.
            presets: names out of `contracts.images.PRESET_NAMES`.

        Raises:
            PermanentError: as `render`.
            HardTimeLimitExceeded: it took too long; its worker was killed, and is replaced.
            TransientError: its worker died. Either can be the machine's doing; another attempt tells.
            RuntimeError: the pool is closed.
        """
        seconds = self._options.seconds_per_image
        loop = asyncio.get_running_loop()
        try:
            async with self._turns, self._worker() as worker, asyncio.timeout(seconds):
                return await loop.run_in_executor(self._threads, worker.render, data, presets)
        except TimeoutError as error:
            raise HardTimeLimitExceeded(f"The image was not rendered within {seconds:g} s.") from error
        except WorkerDied as error:
            raise TransientError(f"The renderer died of this image ({error}).") from error

    async def close(self) -> None:
        """Ends all workers, busy ones too. Can be called twice; no image is taken afterwards."""
        self._closed = True
        for worker in [*self._idle, *self._busy]:
            await asyncio.to_thread(worker.end)
        self._idle.clear()
        self._threads.shutdown(wait=False)

    @asynccontextmanager
    async def _worker(self) -> AsyncIterator[RenderWorker]:
        """An idle worker, or a new one. Kept if it answered, if only with a refusal; else ended."""
        if self._closed:
            raise RuntimeError("this render pool is closed")
        worker = self._idle_worker() or self._new_worker()
        self._busy.add(worker)
        answered = False
        try:
            yield worker
            answered = True
        except HandlerError:
            answered = True
            raise
        finally:
            self._busy.discard(worker)
            if answered and worker.images < self._options.images_per_worker and not self._closed:
                self._idle.append(worker)
            else:
                # Shielded: a second cancellation must not leave the process running.
                await asyncio.shield(asyncio.to_thread(worker.end))

    def _idle_worker(self) -> RenderWorker | None:
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
        return None

    def _new_worker(self) -> RenderWorker:
        options = self._options
        return RenderWorker(
            self._limits, threads=options.threads_per_worker, bytes_at_most=options.bytes_per_worker
        )
