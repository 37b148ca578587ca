"""Opens and decodes pictures of strangers, strictly: what is damaged is an error, and never painted grey."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, Final, TypeVar

import pyvips

from waybill_contracts.images.formats import ImageFormat
from waybill_pictures.decoder_errors import is_harmless_warning, lacks_end
from waybill_pictures.frame_count import Bytes, declared_frames

#: Formats of which libvips can read every frame.
ANIMATED_FORMATS: Final = frozenset({"gif", "webp"})
Made = TypeVar("Made")

#: ITU T.81, B.1.1.3: what ends a JPEG.
_END_OF_JPEG: Final = b"\xff\xd9"
#: GIF89a specification, 27: the trailer.
_END_OF_GIF: Final = b";"
GIF_WITHOUT_END: Final = "The GIF has no end marker: frames may be missing."
JPEG_WITHOUT_END: Final = "The JPEG has no end marker; what is there was decoded."


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture says of itself before it is decoded."""

    #: As stored, in pixels: an EXIF orientation may swap them. Of one frame.
    width: int
    height: int
    #: One: it stands still. None: it moves, and does not say how often.
    frames: int | None = 1


def read_header(data: Bytes, accepted: ImageFormat) -> Header:
    """Reads what stands before the pixels.

    Raises:
        pyvips.Error: it cannot be read.
    """
    frames = declared_frames(data, accepted)
    if accepted.libvips_loader is None:
        width, height = _heif().heic_size(data[:])
        return Header(width, height, frames)
    header = _open(data)
    if accepted.name in ANIMATED_FORMATS:
        frames = header.get_n_pages()
    return Header(header.width, header.height, frames)


def decode(
    data: Bytes,
    accepted: ImageFormat,
    use: Callable[[pyvips.Image], Made],
    *,
    shrink: int = 1,
    all_frames: bool = False,
) -> tuple[Made, tuple[str, ...]]:
    """Decodes a picture and gives it to `use`.

    Args:
        data: the file; a mapping is not copied.
        accepted: its format.
        use: wants all of its pixels, once and in their order. It may be called again, with a picture that is
            opened more leniently: libjpeg warns of damage, but also of what many cameras write.
        shrink: how far libjpeg may shrink on its way. Not by 8: it misses warnings of the last rows then.
        all_frames: of one of `ANIMATED_FORMATS` all frames, one below the other; else the first.

    Returns:
        What `use` returned, and what there is to tell of a file that is not quite as it should be.

    Raises:
        pyvips.Error: it is damaged, or its decoder does not know what it is.
    """
    if accepted.libvips_loader is None:
        return use(_heif().open_heic(data[:])), ()
    if accepted.name != "jpeg":
        pages = {"n": -1} if all_frames else {}
        # libvips shows what there is of a GIF that was cut short, as browsers do.
        cut = all_frames and accepted.name == "gif" and data[-1:] != _END_OF_GIF
        return use(_open(data, fail_on="error", **pages)), (GIF_WITHOUT_END,) if cut else ()
    try:
        return _decode_jpeg(data, use, shrink), ()
    except pyvips.Error as error:
        if not lacks_end(str(error)):
            raise
        try:
            # Browsers show it. With an end of its own libjpeg tells whether it is only that which is missing;
            # shrunk, it would not see all of the last rows.
            return _decode_jpeg(data[:] + _END_OF_JPEG, use, shrink=1), (JPEG_WITHOUT_END,)
        except pyvips.Error:
            raise error from None


def _decode_jpeg(data: Bytes, use: Callable[[pyvips.Image], Made], shrink: int) -> Made:
    try:
        # libjpeg only warns of damage, and then paints grey.
        return use(_open(data, fail_on="warning", shrink=shrink))
    except pyvips.Error as error:
        if not is_harmless_warning(str(error)):
            raise
        return use(_open(data, fail_on="error", shrink=shrink))


def _open(data: Bytes, **options: Any) -> pyvips.Image:
    source = pyvips.Source.new_from_memory(data)  # no copy; the image keeps the data alive
    return pyvips.Image.new_from_source(source, "", access="sequential", **options)


def _heif() -> ModuleType:
    # A second library, with Pillow in its wake: a worker that sees no HEIC starts without it.
    return import_module("waybill_pictures.heif")
