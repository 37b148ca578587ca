"""The job of a render worker. It imports almost nothing, so that a worker starts fast."""

from waybill_contracts.images import ImageLimits
from waybill_images.render_result import RenderResult


def render_one(limits: ImageLimits, threads: int, job: tuple[bytes, tuple[str, ...]]) -> RenderResult:
    """Renders one original; see `waybill_images.render.render`."""
    # Only in the worker: the process of the service never loads a decoder of untrusted files.
    from waybill_pictures.libvips import load_libvips  # noqa: PLC0415 - only in the worker

    load_libvips(threads)
    from waybill_images.render import render  # noqa: PLC0415 - after libvips is configured

    return render(*job, limits)
