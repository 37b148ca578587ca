"""Opens and decodes untrusted pictures strictly: damage is an error, and is never filled with grey."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, Final, TypeVar

import pyvips

from waybill_contracts.images import ImageFormat
from waybill_pictures.decoder_errors import is_harmless_warning, lacks_end
from waybill_pictures.frame_count import Bytes, declared_frames

#: Formats in which libvips can read every frame.
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
    """What a picture declares in its header."""

    #: As stored, in pixels: an EXIF orientation may swap them. Of one frame.
    width: int
    height: int
    #: 1: a still picture. None: an animation that does not declare its number of frames.
    frames: int | None = 1


def read_header(data: Bytes, accepted: ImageFormat) -> Header:
    """Reads the header, without decoding pixels.

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
    """Decodes a picture and passes it to `use`.

    Args:
        data: the file; a mapping is not copied.
        accepted: its format.
        use: reads all pixels, once and in order. It may be called again, with a picture that was opened more
            leniently: libjpeg warns of damage, but also of harmless irregularities that many cameras write.
        shrink: factor by which libjpeg may shrink while decoding; at most 4, as with 8 it misses warnings
            about the last rows.
        all_frames: decode all frames of one of `ANIMATED_FORMATS`, one below the other; else the first.

    Returns:
        The result of `use`, and notes for the sender about a file with a tolerated defect.

    Raises:
        pyvips.Error: it is damaged, or has a feature that its decoder does not support.
    """
    if accepted.libvips_loader is None:
        return use(_heif().open_heic(data[:])), ()
    if accepted.name != "jpeg":
        pages = {"n": -1} if all_frames else {}
        # libvips shows the existing frames of a truncated GIF, as browsers do.
        cut = all_frames and accepted.name == "gif" and data[-1:] != _END_OF_GIF
        return use(_open(data, fail_on="error", **pages)), (GIF_WITHOUT_END,) if cut else ()
    try:
        return _decode_jpeg(data, use, shrink), ()
    except pyvips.Error as error:
        if not lacks_end(str(error)):
            raise
        try:
            # Browsers show it. With an added end marker, libjpeg finds out whether anything else is missing;
            # when shrinking, it would not check all of the last rows.
            return _decode_jpeg(data[:] + _END_OF_JPEG, use, shrink=1), (JPEG_WITHOUT_END,)
        except pyvips.Error:
            raise error from None


def _decode_jpeg(data: Bytes, use: Callable[[pyvips.Image], Made], shrink: int) -> Made:
    try:
        # libjpeg only warns of damage, and then fills with grey.
        return use(_open(data, fail_on="warning", shrink=shrink))
    except pyvips.Error as error:
        if not is_harmless_warning(str(error)):
            raise
        return use(_open(data, fail_on="error", shrink=shrink))


def _open(data: Bytes, **options: Any) -> pyvips.Image:
    source = pyvips.Source.new_from_memory(data)  # no copy; the image keeps the data alive
    return pyvips.Image.new_from_source(source, "", access="sequential", **options)


def _heif() -> ModuleType:
    # A second library, which loads Pillow: a worker that gets no HEIC starts without it.
    return import_module("waybill_pictures.heif")
