"""Renders in worker processes: a file that crashes or blocks a decoder ends only its worker."""

from collections.abc import Sequence
from functools import partial

from waybill_contracts.images import ImageLimits
from waybill_images.render_result import RenderResult
from waybill_images.render_worker import render_one
from waybill_worker.errors import HardTimeLimitExceeded, PermanentError, TransientError
from waybill_worker.worker_pool import WorkerDied, WorkerPool, WorkerPoolOptions, WorkerSpent


class RenderPool:
    """Renders in worker processes; only they load libvips.

    Args:
        limits: limits of an original, checked before it is decoded.
        options: number and limits of the workers.
        threads: threads of libvips in each worker; more than 1 helps only a service that is mostly idle.
    """

    def __init__(self, limits: ImageLimits, options: WorkerPoolOptions, *, threads: int = 1) -> None:
        self._options = options
        self._pool = WorkerPool(partial(render_one, limits, threads), options, name="render-worker")

    async def render(self, data: bytes, presets: Sequence[str]) -> RenderResult:
        """Runs `waybill_images.render.render` in a worker.

        Cancelling it ends the worker.

        Args:
            data: the original file.
            presets: names out of `waybill_contracts.images.variants.PRESET_NAMES`.

        Raises:
            PermanentError: see `render`; or it needs more memory or processor time than allowed.
            HardTimeLimitExceeded: it took too long; its worker was killed, and is replaced.
            TransientError: its worker died. Both can be caused by the machine, so another attempt may
                succeed.
            RuntimeError: the pool is closed.
        """
        try:
            rendered: RenderResult = await self._pool.run((data, tuple(presets)))
        except TimeoutError as error:
            seconds = self._options.seconds
            raise HardTimeLimitExceeded(f"The image was not rendered within {seconds:g} s.") from error
        except WorkerSpent as error:
            seconds = self._options.limits.cpu_seconds
            raise PermanentError(
                f"Rendering the image takes more than {seconds:g} s of processor time; send a smaller one."
            ) from error
        except MemoryError as error:
            raise PermanentError(
                "Rendering the image takes more memory than there is; send a smaller one."
            ) from error
        except WorkerDied as error:
            raise TransientError(f"The renderer died while rendering this image ({error}).") from error
        return rendered

    async def close(self) -> None:
        """Ends all workers, also busy ones. Can be called twice; no image is accepted afterwards."""
        await self._pool.close()
