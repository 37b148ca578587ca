"""What a worker process does with an upload. It imports next to nothing, so that a worker starts soon."""

from waybill_contracts.images.limits import ImageLimits
from waybill_gateway.images.facts import ImageFacts


def look_into(limits: ImageLimits, _job: None, descriptor: int) -> ImageFacts:
    """Says what a file is; see `waybill_gateway.images.probe.probe`."""
    # In the worker alone: the gateway's own process never loads what decodes strangers' files.
    from waybill_pictures.libvips import load_libvips  # noqa: PLC0415 - as said

    load_libvips()
    from waybill_gateway.images.probe import probe  # noqa: PLC0415 - as said

    return probe(descriptor, limits)
