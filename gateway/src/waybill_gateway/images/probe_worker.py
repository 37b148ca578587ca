"""What a worker process does with an upload. It imports next to nothing, so that a worker starts soon."""

from contracts.images import ImageLimits
from gateway.image_facts import ImageFacts


def look_into(limits: ImageLimits, _job: None, descriptor: int) -> ImageFacts:
    """Says what a file is; see `gateway.image_probe.probe`."""
    # In the worker alone: the gateway's own process never loads what decodes strangers' files.
    from pictures.library import load_libvips  # noqa: PLC0415 - as said

    load_libvips()
    from gateway.image_probe import probe  # noqa: PLC0415 - as said

    return probe(descriptor, limits)
