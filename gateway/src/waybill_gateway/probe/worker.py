"""The work of a worker process. It imports almost nothing, so that a worker starts quickly."""

from waybill_contracts.images import ImageLimits
from waybill_gateway.probe.facts import ImageFacts


def look_into(limits: ImageLimits, _job: None, descriptor: int) -> ImageFacts:
    """The facts about a file; see `waybill_gateway.probe.examination.probe`."""
    # Only in a worker: the process of the gateway never loads decoders for untrusted files.
    from waybill_pictures.libvips import load_libvips  # noqa: PLC0415 - as said

    load_libvips()
    from waybill_gateway.probe.examination import probe  # noqa: PLC0415 - as said

    return probe(descriptor, limits)
