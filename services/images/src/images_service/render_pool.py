"""Runs `render` in worker processes: a file that crashes or hangs a decoder takes only its worker along."""

import asyncio
import multiprocessing
import os
import resource
import threading
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, field

import pyvips
from pebble import ProcessExpired, ProcessPool

from chassis.errors import TransientError
from contracts.images import ImageLimits
from images_service.rendering import RenderedVariant, render

#: Exit status of a worker whose service is gone; nobody is left to read it.
_ORPHANED = 0


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
    """Renders on worker processes, started at the first image.

    Memory: of each worker at most `bytes_per_worker`, about 140 MB between images; of this process the files
    that were handed in and are not yet rendered, so bound those by the number of messages taken at once.
    """

    def __init__(self, limits: ImageLimits, options: RenderPoolOptions | None = None) -> None:
        self._limits = limits
        self._options = options or RenderPoolOptions()
        self._pool: ProcessPool | None = None
        self._closed = False

    async def render(self, data: bytes, presets: Sequence[str]) -> list[RenderedVariant]:
        """Does what `images_service.rendering.render` does, elsewhere.

        Cancelling ends the worker that renders it.

        Args:
            data: the original file.
            presets: names out of `contracts.images.PRESET_NAMES`.

        Raises:
            PermanentError: as `render`.
            TransientError: it took too long, or its worker died. Either can be the machine's doing; another
                attempt tells.
            RuntimeError: the pool is closed.
        """
        seconds = self._options.seconds_per_image
        pool = self._running_pool()
        job = pool.schedule(render, args=(data, tuple(presets), self._limits), timeout=seconds)
        try:
            return await asyncio.wrap_future(job)
        except TimeoutError as error:
            raise TransientError(f"The image was not rendered within {seconds:g} s.") from error
        except ProcessExpired as error:
            raise TransientError(
                f"The renderer died of this image (exit status {error.exitcode})."
            ) from error
        except BrokenExecutor as error:  # a worker died between two images, and pebble gives up the pool
            self._discard(pool)
            raise TransientError("The renderers had to be started anew.") from error

    async def close(self) -> None:
        """Ends all workers, busy ones too. Can be called twice; no image is taken afterwards."""
        self._closed = True
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await asyncio.to_thread(_end, pool)

    def _running_pool(self) -> ProcessPool:
        if self._closed:
            raise RuntimeError("this render pool is closed")
        if self._pool is not None and not self._pool.active:
            self._discard(self._pool)
        if self._pool is None:
            options = self._options
            self._pool = ProcessPool(
                max_workers=options.workers,
                max_tasks=options.images_per_worker,
                initializer=_prepare_worker,
                initargs=(options.threads_per_worker, options.bytes_per_worker),
                # Not fork: it would copy this process's locks and sockets in whatever state they are.
                context=multiprocessing.get_context("spawn"),
            )
        return self._pool

    def _discard(self, pool: ProcessPool) -> None:
        if self._pool is pool:
            self._pool = None
        threading.Thread(target=_end, args=(pool,), name="end-render-pool").start()


def _end(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]  # pebble leaves it without annotations
    pool.join()


def _prepare_worker(threads: int, bytes_at_most: int) -> None:
    """Runs first in each worker."""
    pyvips.cache_set_max(0)  # no two images are alike
    pyvips.concurrency_set(threads)
    resource.setrlimit(resource.RLIMIT_DATA, (bytes_at_most, bytes_at_most))
    threading.Thread(target=_end_with_service, name="end-with-service", daemon=True).start()


def _end_with_service() -> None:
    # A killed service cannot end its workers, and one that hangs in a decoder would not notice by itself.
    service = multiprocessing.parent_process()
    if service is not None:
        service.join()
        os._exit(_ORPHANED)
