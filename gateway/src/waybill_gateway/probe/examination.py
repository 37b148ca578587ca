"""Refuses files that could never be rendered at upload, while the caller still waits for the answer."""

import mmap
import os

import pyvips

from waybill_contracts.images import (
    ACCEPTED_FORMATS,
    SNIFF_BYTES,
    ImageFormat,
    ImageLimits,
    sniff,
    unsupported_format,
)
from waybill_gateway.probe.facts import ImageFacts, RefusedImage
from waybill_pictures.decoder import decode, read_header
from waybill_pictures.decoder_errors import describe_damage, is_lack_of_memory, unsupported_feature
from waybill_pictures.libvips import admit_only_accepted_loaders

#: Decodes to a quarter of the width and height: this still reads all data, in 45 ms instead of 80 for 12
#: megapixels. At an eighth libvips misses warnings about the last rows, where missing data shows as grey.
JPEG_SHRINK = 4
#: Each scan of a progressive JPEG covers the whole picture, so a small file could need hours. Encoders write
#: about 10.
MAX_JPEG_SCANS = 64
#: ITU T.81, B.1.1.3: start of scan. In compressed data 0xff is always followed by 0x00 or a restart marker.
_START_OF_SCAN = b"\xff\xda"

#: The defaults of the images service.
DEFAULT_LIMITS = ImageLimits()


def probe(file: int, limits: ImageLimits = DEFAULT_LIMITS) -> ImageFacts:
    """Examines an uploaded file: decodes all of it once, without keeping the pixels.

    Blocking, on one core (12 megapixels: JPEG 45 ms, PNG 120 ms, WebP 240 ms), and only as safe as its
    decoders: `waybill_gateway.images.probe_pool` runs it in a process with limits. The file is mapped,
    not read into memory, so it must not be truncated meanwhile. A decoder holds a strip of most images, but
    all of an interlaced, progressive or WebP one: up to 12 bytes for each pixel.

    Args:
        file: descriptor of a real, open file; its position does not change.
        limits: of size and pixels, which are checked by the header alone.

    Returns:
        The facts about the image.

    Raises:
        RefusedImage: the file is empty, no accepted image, too large or damaged.
        MemoryError: decoding it takes more memory than this process may use.
        OSError: it cannot be read.
    """
    size_bytes = os.fstat(file).st_size
    if size_bytes == 0:
        raise RefusedImage("empty", "The file is empty. Send the image itself.")
    if size_bytes > limits.max_bytes:
        detail = f"The file has {size_bytes} bytes; the limit is {limits.max_bytes}. Send a smaller image."
        raise RefusedImage("too_large", detail)
    # Not through the descriptor: libvips would move the position under Python's buffer.
    data = mmap.mmap(file, 0, access=mmap.ACCESS_READ)
    head = data[:SNIFF_BYTES]
    accepted = _recognise(head)
    admit_only_accepted_loaders()
    try:
        header = read_header(data, accepted)
        objection = limits.size_error(header.width, header.height)
        if objection:
            raise RefusedImage("too_large", objection)
        if accepted.name == "jpeg":
            _limit_scans(data)
        # The cheapest operation that wants every pixel and keeps none.
        decode(data, accepted, pyvips.Image.avg, shrink=JPEG_SHRINK)
    except pyvips.Error as error:
        raise _refusal(accepted, head, size_bytes, str(error)) from error
    return ImageFacts(accepted.name, accepted.content_type, header.width, header.height)


def _refusal(accepted: ImageFormat, head: bytes, size_bytes: int, complaint: str) -> Exception:
    if is_lack_of_memory(complaint):
        return MemoryError(complaint)
    if unsupported := unsupported_feature(complaint):
        return RefusedImage("unsupported_format", unsupported)
    return RefusedImage("damaged", describe_damage(accepted, head, size_bytes, complaint))


def _recognise(head: bytes) -> ImageFormat:
    accepted = sniff(head)
    if accepted is not None:
        return accepted
    wanted = f"Send one of {', '.join(ACCEPTED_FORMATS)}."
    found = unsupported_format(head)
    if found:
        raise RefusedImage("unsupported_format", f"{found} files are not supported. {wanted}")
    raise RefusedImage("not_an_image", f"The file is not an image, even if its name says so. {wanted}")


def _limit_scans(data: mmap.mmap) -> None:
    position = -1
    for _ in range(MAX_JPEG_SCANS + 1):
        position = data.find(_START_OF_SCAN, position + 1)
        if position < 0:
            return
    detail = f"The JPEG has more than {MAX_JPEG_SCANS} scans. Save it again as an ordinary JPEG."
    raise RefusedImage("unsupported_format", detail)
