"""Reads HEIC, which telephones write and libvips cannot read: its wheels have no HEVC decoder.

`pi-heif` has libheif with libde265, and no encoder, as the licence of the encoder does not fit ours.
"""

from typing import Any

import pi_heif
import pyvips

#: Exceptions of `pi-heif` for a file that it cannot decode.
_DECODE_ERRORS = (ValueError, EOFError, SyntaxError, RuntimeError, OSError)

# Not needed, and reading each of them takes time.
pi_heif.options.THUMBNAILS = pi_heif.options.DEPTH_IMAGES = pi_heif.options.AUX_IMAGES = False
pi_heif.options.DECODE_THREADS = 1


def heic_size(data: bytes) -> tuple[int, int]:
    """Reads width and height of the primary picture, upright, from the header.

    Raises:
        pyvips.Error: it cannot be read.
    """
    width, height = _primary(data).size
    return width, height


def open_heic(data: bytes) -> pyvips.Image:
    """Decodes the primary picture, upright, with its colour profile and no other metadata.

    Raises:
        pyvips.Error: it cannot be decoded.
    """
    primary = _primary(data)
    try:
        pixels, stride = primary.data, primary.stride
    except _DECODE_ERRORS as error:
        raise _as_vips(error) from error
    width, height = primary.size
    # Only grey pictures can still have more than 8 bits; a pixel then has 2 bytes.
    deep = primary.mode.endswith("16")
    bands = stride // (width * (2 if deep else 1))
    # A copy, which pyvips keeps alive: `pixels` is memory of libheif, freed with `primary`.
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
        # 8 bits are enough for HDR too: variants have no more.
        file = pi_heif.open_heif(data, convert_hdr_to_8bit=True)
        return file[file.primary_index]
    except (*_DECODE_ERRORS, IndexError) as error:
        raise _as_vips(error) from error


def _as_vips(error: Exception) -> pyvips.Error:
    """The error as one of libvips, so that callers handle only one type."""
    return pyvips.Error(f"heif: {error}")
