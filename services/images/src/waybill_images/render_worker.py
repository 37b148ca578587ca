"""What a worker process does with an original. It imports next to nothing, so that a worker starts soon."""

from waybill_contracts.images.limits import ImageLimits
from waybill_images.render_result import RenderResult


def render_one(limits: ImageLimits, threads: int, job: tuple[bytes, tuple[str, ...]]) -> RenderResult:
    """Renders one original; see `waybill_images.render.render`."""
    # In the worker alone: the service's own process never loads what decodes strangers' files.
    from waybill_pictures.libvips import load_libvips  # noqa: PLC0415 - as said

    load_libvips(threads)
    from waybill_images.render import render  # noqa: PLC0415 - as said

    return render(*job, limits)
