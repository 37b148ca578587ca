"""Examines uploads in processes of their own: a file that crashes a decoder harms nothing else."""

from functools import partial
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Depends, Request

from waybill_contracts.images import ImageLimits
from waybill_gateway.http import Problem
from waybill_gateway.probe import ImageFacts, RefusedImage, look_into
from waybill_gateway.settings import GatewaySettings
from waybill_worker.observe import get_logger
from waybill_worker.worker_pool import WorkerDied, WorkerLimits, WorkerPool, WorkerPoolOptions, WorkerSpent

log = get_logger(__name__)

#: A worker may die because the machine is overloaded; a second attempt finds out.
ATTEMPTS: Final = 2


class ProbePool:
    """Examines uploads, a few at once; only the workers load libvips."""

    def __init__(self, settings: GatewaySettings) -> None:
        limits = WorkerLimits(settings.image_probe_bytes, settings.image_probe_cpu_seconds)
        image_limits = ImageLimits(
            settings.max_image_pixels, settings.max_image_edge, settings.max_upload_bytes
        )
        self._settings = settings
        self._pool = WorkerPool(
            partial(look_into, image_limits),
            WorkerPoolOptions(limits, settings.image_probe_seconds, settings.image_probes),
            name="image-probe",
        )

    async def probe(self, descriptor: int) -> ImageFacts:
        """The facts about an uploaded file; see `waybill_gateway.probe.examination.probe`.

        Args:
            descriptor: of the file, which must stay open until this returns.

        Raises:
            RefusedImage: it is empty, no accepted image, damaged, or needs more than the limits allow.
            Problem: 503, it was not examined in time.
        """
        try:
            return await self._attempt(descriptor)
        except TimeoutError as error:
            log.warning("an image was not examined in time", seconds=self._settings.image_probe_seconds)
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "image_check_too_slow",
                "The image was not examined in time. Nothing was accepted: repeat the call in a moment.",
                headers={"Retry-After": "10"},
            ) from error
        except WorkerSpent as error:
            seconds = self._settings.image_probe_cpu_seconds
            detail = (
                f"Decoding the image takes more than {seconds:g} s of processor time. "
                "Save it again as an ordinary JPEG or PNG, or send a smaller one."
            )
            raise RefusedImage("too_costly", detail) from error
        except MemoryError as error:
            mebibytes = self._settings.image_probe_bytes // 1024**2
            detail = f"Decoding the image takes more than {mebibytes} MiB of memory. Send a smaller one."
            raise RefusedImage("too_costly", detail) from error
        except WorkerDied as error:
            detail = "The image makes its decoder fail. Save it again as an ordinary JPEG or PNG."
            raise RefusedImage("damaged", detail) from error

    async def close(self) -> None:
        """Ends all workers."""
        await self._pool.close()

    async def _attempt(self, descriptor: int) -> ImageFacts:
        for left in reversed(range(ATTEMPTS)):
            try:
                facts: ImageFacts = await self._pool.run(None, descriptor)
            except WorkerSpent:
                raise
            except WorkerDied as error:
                log.warning("a worker died while it examined an image", reason=error, attempts_left=left)
                if not left:
                    raise
            else:
                return facts
        raise RuntimeError("no attempt was made")


async def _current_probes(request: Request) -> ProbePool:
    probes: ProbePool = request.app.state.image_probes
    return probes


#: The pool, for a route's signature.
ProbesDep = Annotated[ProbePool, Depends(_current_probes)]
