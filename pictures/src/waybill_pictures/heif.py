"""HEIC, which telephones write and libvips cannot read: its wheels have no HEVC.

libheif with libde265 does, in `pi-heif`: the build without an encoder, whose licence would not suit ours.
"""

from typing import Any

import pi_heif
import pyvips

#: What `pi-heif` raises for a file that it cannot decode.
_DECODE_ERRORS = (ValueError, EOFError, SyntaxError, RuntimeError, OSError)

# None of them is wanted, and each costs a look.
pi_heif.options.THUMBNAILS = pi_heif.options.DEPTH_IMAGES = pi_heif.options.AUX_IMAGES = False
pi_heif.options.DECODE_THREADS = 1


def heic_size(data: bytes) -> tuple[int, int]:
    """Width and height of the primary picture, upright, by the header alone.

    Raises:
        pyvips.Error: it cannot be read.
    """
    width, height = _primary(data).size
    return width, height


def open_heic(data: bytes) -> pyvips.Image:
    """The primary picture, decoded and upright, with its colour profile and no other metadata.

    Raises:
        pyvips.Error: it cannot be decoded.
    """
    primary = _primary(data)
    try:
        pixels, stride = primary.data, primary.stride
    except _DECODE_ERRORS as error:
        raise _as_vips(error) from error
    width, height = primary.size
    # Only grey is left with more than 8 bits: in 2 bytes then.
    deep = primary.mode.endswith("16")
    bands = stride // (width * (2 if deep else 1))
    # A copy, for which pyvips looks: what is lent out is libheif's memory, and freed with `primary`.
    image = pyvips.Image.new_from_memory(bytes(pixels), width, height, bands, "ushort" if deep else "uchar")
    grey, colour = ("grey16", "rgb16") if deep else ("b-w", "srgb")
    image = image.copy(interpretation=colour if bands >= 3 else grey)  # noqa: PLR2004 - red, green, blue
    if primary.mode.endswith("a"):
        image = image.unpremultiply().cast(image.format)
    if profile := primary.info.get("icc_profile"):
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return image


def _primary(data: bytes) -> Any:
    try:
        # Also of HDR, 8 bits are enough: variants have no more.
        file = pi_heif.open_heif(data, convert_hdr_to_8bit=True)
        return file[file.primary_index]
    except (*_DECODE_ERRORS, IndexError) as error:
        raise _as_vips(error) from error


def _as_vips(error: Exception) -> pyvips.Error:
    """The error as libvips would say it, so that whoever decodes has one kind to expect."""
    return pyvips.Error(f"heif: {error}")
