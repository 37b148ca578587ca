"""Counts frames where libvips silently reads only one: PNG, and sequences in AVIF and HEIC."""

import mmap
from typing import Final, TypeAlias

from waybill_contracts.images import ImageFormat

Bytes: TypeAlias = bytes | mmap.mmap

#: Offset of the first chunk of a PNG, and bytes of each chunk besides its body: length, type, checksum.
_FIRST_CHUNK, _CHUNK_OVERHEAD = 8, 12
#: The animation control chunk comes before the pixels; with more chunks before it, no browser shows an
#: animation.
_MOST_CHUNKS: Final = 1000
#: ISO 23008-12: brands of files with an image sequence.
_SEQUENCES: Final = frozenset({b"avis", b"hevc", b"hevx", b"hevm", b"hevs", b"msf1"})


def declared_frames(data: Bytes, accepted: ImageFormat) -> int | None:
    """The number of frames that a file declares; None: an animation that does not declare it.

    Args:
        data: the file.
        accepted: its format.
    """
    if accepted.name == "png":
        return _frames_of_png(data)
    if accepted.name in {"avif", "heic"} and data[8:12] in _SEQUENCES:
        return None
    return 1


def _frames_of_png(data: Bytes) -> int:
    """Source: PNG, third edition, 11.3.6.1: `acTL` begins with the number of frames, and is before `IDAT`."""
    at = _FIRST_CHUNK
    for _ in range(_MOST_CHUNKS):
        kind = data[at + 4 : at + 8]
        if kind == b"acTL":
            return max(1, int.from_bytes(data[at + 8 : at + 12], "big"))
        if kind in {b"IDAT", b""}:
            break
        at += _CHUNK_OVERHEAD + int.from_bytes(data[at : at + 4], "big")
    return 1
