"""One process that renders, and our end of the pipe to it.

Each has a pipe of its own, whose other end is open in the worker alone: whatever happens to it we read an end
of file, at once and even in the middle of a message. Workers that share a pipe also share its lock, and one
that dies can keep it.
"""

import multiprocessing
import os
import resource
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection

import pyvips

from contracts.images import ImageLimits
from images_service.rendering import RenderedVariant, render

#: Not fork: it would copy this process's locks and sockets in whatever state they are.
_processes = multiprocessing.get_context("spawn")
#: Exit status of a worker whose service is gone; nobody is left to read it.
_ORPHANED = 0


class WorkerDied(Exception):  # noqa: N818 - an event, and named as it is told
    """The process ended before it answered; the text tells its exit status (negative: a signal)."""


class RenderWorker:
    """A worker process. All methods block; `end` may be called while another thread is in `render`."""

    def __init__(self, limits: ImageLimits, *, threads: int, bytes_at_most: int) -> None:
        self._connection, theirs = _processes.Pipe()
        self._process = _processes.Process(
            target=_work, args=(theirs, limits, threads, bytes_at_most), name="render-worker", daemon=True
        )
        self._process.start()
        theirs.close()
        #: How many images it was given.
        self.images = 0

    def render(self, data: bytes, presets: Sequence[str]) -> list[RenderedVariant]:
        """Has one image rendered; see `images_service.rendering.render`.

        Raises:
            WorkerDied: it did, or was ended.
        """
        self.images += 1
        try:
            self._connection.send((data, tuple(presets)))
            answer: list[RenderedVariant] | Exception = self._connection.recv()
        except (EOFError, OSError) as error:
            self._process.join()
            raise WorkerDied(f"exit status {self._process.exitcode}") from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def alive(self) -> bool:
        """Whether the process is there: something may have killed it while it was idle."""
        return self._process.is_alive()

    def end(self) -> None:
        """Kills the process, whatever it is doing, and waits until it is gone."""
        self._process.kill()
        self._process.join()


def _work(service: Connection, limits: ImageLimits, threads: int, bytes_at_most: int) -> None:
    """What the process does: images in, variants or an error out, until the service closes its end."""
    pyvips.cache_set_max(0)  # no two images are alike
    pyvips.concurrency_set(threads)
    resource.setrlimit(resource.RLIMIT_DATA, (bytes_at_most, bytes_at_most))
    threading.Thread(target=_end_with_service, name="end-with-service", daemon=True).start()
    while True:
        try:
            data, presets = service.recv()
        except (EOFError, OSError):
            return
        service.send(_outcome(data, presets, limits))


def _outcome(data: bytes, presets: Sequence[str], limits: ImageLimits) -> list[RenderedVariant] | Exception:
    try:
        return render(data, presets, limits)
    except Exception as error:  # noqa: BLE001 - raised again in the service, where it belongs
        return error


def _end_with_service() -> None:
    # A killed service cannot end its workers, and one that hangs in a decoder would not notice by itself.
    service = multiprocessing.parent_process()
    if service is not None:
        service.join()
        os._exit(_ORPHANED)
