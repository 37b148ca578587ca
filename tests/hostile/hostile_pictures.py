"""Small files that need very much memory or time."""

import struct
import zlib

import pyvips


def chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*extra: bytes, width: int = 64, height: int = 64) -> bytes:
    """A black PNG with these chunks before its pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes((1 + 3 * width) * height), 9)
    parts = (chunk(b"IHDR", header), *extra, chunk(b"IDAT", rows), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def empty_texts() -> bytes:
    """360 KB of empty text chunks: libvips complains of each five times."""
    return png(*[chunk(b"tEXt", b"")] * 30_000)


def interlaced() -> bytes:
    """800 MB of 16-bit RGBA in 0.8 MB of PNG, which a decoder must hold as a whole, as it is interlaced."""
    black = pyvips.Image.black(10_000, 10_000, bands=4).cast("ushort").copy(interpretation="rgb16")
    packed: bytes = black.pngsave_buffer(interlace=True, bitdepth=16)
    return packed
