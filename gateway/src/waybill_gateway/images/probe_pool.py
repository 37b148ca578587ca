"""Looks into uploads in processes of their own: what hangs or crashes a decoder takes no more along."""

from functools import partial
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Depends, Request

from waybill_contracts.images.limits import ImageLimits
from waybill_gateway.http.problems import Problem
from waybill_gateway.images.facts import ImageFacts, RefusedImage
from waybill_gateway.images.probe_worker import look_into
from waybill_gateway.settings import GatewaySettings
from waybill_worker.observe.logs import get_logger
from waybill_worker.runtime.worker_pool import WorkerPool, WorkerPoolOptions
from waybill_worker.runtime.worker_process import WorkerDied, WorkerLimits, WorkerSpent

log = get_logger(__name__)

#: A worker that dies may have been hit by the machine's distress; one more look tells.
LOOKS: Final = 2


class ProbePool:
    """Looks into uploads, a few at once; libvips is in the workers only."""

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
        """Says what an uploaded file is; see `waybill_gateway.images.probe.probe`.

        Args:
            descriptor: of the file, which must stay open until this returns.

        Raises:
            RefusedImage: it is empty, no accepted image, damaged, or takes more than it may.
            Problem: 503, the machine had no time for it.
        """
        try:
            return await self._look_again(descriptor)
        except TimeoutError as error:
            log.warning("no look into an image in time", seconds=self._settings.image_probe_seconds)
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "image_check_too_slow",
                "The image was not looked into in time. Nothing was accepted: repeat the call in a moment.",
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

    async def _look_again(self, descriptor: int) -> ImageFacts:
        for left in reversed(range(LOOKS)):
            try:
                facts: ImageFacts = await self._pool.run(None, descriptor)
            except WorkerSpent:
                raise
            except WorkerDied as error:
                log.warning("a look into an image ended its process", reason=error, looks_left=left)
                if not left:
                    raise
            else:
                return facts
        raise RuntimeError("no look was taken")


async def _current_probes(request: Request) -> ProbePool:
    probes: ProbePool = request.app.state.image_probes
    return probes


#: The gateway's pool, for a route's signature.
ProbesDep = Annotated[ProbePool, Depends(_current_probes)]
