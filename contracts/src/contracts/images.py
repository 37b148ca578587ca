"""What the gateway and the images service must agree on: formats taken, variants made, limits kept.

Plain values and pure functions, so that either side can use them without libvips.
"""

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

#: First part of each original's key in the object store.
ORIGINALS: Final = "originals"


def variants_of(sha256: str) -> str:
    """Where all variants of the original with this hash lie in the object store, and no other's."""
    return f"variants/{sha256}"


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """A format that is taken as an original."""

    #: The word used in results and messages.
    name: str
    content_type: str
    #: The libvips class that reads it; every other loader stays blocked, whatever a file looks like.
    libvips_loader: str


#: What browsers show and cameras write. Left out on purpose: TIFF (a container of many codecs, seldom on the
#: web), AVIF and HEIC (the wheel's libheif has no HEVC, so half of them would fail), SVG and PDF (programs).
ACCEPTED_FORMATS = MappingProxyType(
    {
        accepted.name: accepted
        for accepted in (
            ImageFormat("jpeg", "image/jpeg", "VipsForeignLoadJpeg"),
            ImageFormat("png", "image/png", "VipsForeignLoadPng"),
            ImageFormat("webp", "image/webp", "VipsForeignLoadWebp"),
            ImageFormat("gif", "image/gif", "VipsForeignLoadNsgif"),
        )
    }
)

#: Names of the variants that a caller may ask for; what they mean is `images_service.presets`.
PresetName = Literal["thumb", "medium", "large"]
PRESET_NAMES: Final[tuple[PresetName, ...]] = ("thumb", "medium", "large")

#: Enough leading bytes for `sniff` to know every format below: SVG comes after an XML declaration.
SNIFF_BYTES = 512


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """The largest original that is taken. Every field can be set by an operator."""

    #: 100 megapixels: twice a telephone's largest usual setting; 400 MB if a decoder must hold it whole.
    max_pixels: int = 100_000_000
    #: A panorama fits; a strip of 1 x 1,000,000 pixels, cheap to send and dear to resize, does not.
    max_edge: int = 30_000
    #: A 50-megapixel JPEG is about 25 MB, a 12-megapixel PNG photograph about 30 MB.
    max_bytes: int = 50 * 1024 * 1024

    def objection_to(self, width: int, height: int) -> str | None:
        """Says what is wrong with an image of this size, before it is decoded.

        Args:
            width: in pixels, from the header.
            height: in pixels, from the header.

        Returns:
            A sentence for the caller, or None if the size is fine.
        """
        if max(width, height) > self.max_edge:
            return (
                f"The image is {width} x {height} pixels; an edge may have at most {self.max_edge}. "
                "Send a smaller image."
            )
        if width * height > self.max_pixels:
            return (
                f"The image is {width} x {height} pixels, {width * height / 1e6:.0f} megapixels; "
                f"at most {self.max_pixels / 1e6:g} are taken. Send a smaller image."
            )
        return None


#: Leading bytes of what people send by mistake, to name it in the refusal.
_FOREIGN_SIGNATURES = (
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"BM", "BMP"),
    (b"%PDF", "PDF"),
    (b"8BPS", "Photoshop"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
)

#: ISO 14496-12 brands, bytes 8 to 12 of a file whose bytes 4 to 8 are `ftyp`.
_FTYP_BRANDS = MappingProxyType(
    {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIF", b"msf1": "HEIF"}
)


def sniff(head: bytes) -> ImageFormat | None:
    """Tells an accepted format by its signature; the file's name and declared type are not evidence.

    Args:
        head: the first `SNIFF_BYTES` of the file, or all of a shorter one.

    Returns:
        The format, or None. Signatures: ITU T.81 B.1.1.3 (JPEG), PNG specification 5.2, RFC 9649 2.4 (WebP),
        GIF89a specification 17.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return ACCEPTED_FORMATS["jpeg"]
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return ACCEPTED_FORMATS["png"]
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return ACCEPTED_FORMATS["webp"]
    if head.startswith((b"GIF87a", b"GIF89a")):
        return ACCEPTED_FORMATS["gif"]
    return None


def foreign_format(head: bytes) -> str | None:
    """Names an image or document format that is known but not taken, or returns None.

    Args:
        head: the first `SNIFF_BYTES` of the file, or all of a shorter one.
    """
    if head[4:8] == b"ftyp" and head[8:12] in _FTYP_BRANDS:
        return _FTYP_BRANDS[head[8:12]]
    for signature, name in _FOREIGN_SIGNATURES:
        if head.startswith(signature):
            return name
    return "SVG" if b"<svg" in head.lower() else None


def declared_size(head: bytes) -> int | None:
    """How many bytes a WebP file says that it has; None for formats that do not say.

    Args:
        head: at least the first 8 bytes. RFC 9649 2.4: `RIFF`, then the size of what follows, little endian.
    """
    if not head.startswith(b"RIFF"):
        return None
    return int.from_bytes(head[4:8], "little") + 8


#: libjpeg's warnings about files that are whole all the same; cameras and editors in use write such files. Up
#: to 99 stray bytes before a header segment (frame, tables, application data, comment: ITU T.81, B.1) are
#: padding; the same words about compressed data mean that some of it is missing.
_UNTIDY = re.compile(
    r"VipsJpeg: (Corrupt JPEG data: \d{1,2} extraneous bytes before marker 0x(c[0-4]|db|dd|e[0-9a-f]|fe)"
    r"|Warning: unknown JFIF revision number .*|Unknown Adobe color transform code .*)"
)


def is_only_untidy(complaint: str) -> bool:
    """Tells libjpeg's warnings about a whole but untidy file from those about damage.

    Args:
        complaint: what libvips said when it was told to fail on warnings; one warning a line.
    """
    lines = [line.strip() for line in complaint.splitlines()]
    warnings = [line for line in lines if line.startswith("VipsJpeg:")]
    return bool(warnings) and all(_UNTIDY.fullmatch(line) for line in warnings)


#: How libvips, libjpeg and GLib say that an allocation or a thread's stack was refused.
_LACK_OF_MEMORY = ("out of memory", "Insufficient memory", "Error creating thread")


def is_lack_of_memory(complaint: str) -> bool:
    """Tells a decoder that may use no more memory from one that finds damage.

    Args:
        complaint: what libvips said.
    """
    return any(words in complaint for words in _LACK_OF_MEMORY)


def describe_damage(accepted: ImageFormat, head: bytes, size_bytes: int, complaint: str) -> str:
    """Puts a decoder's refusal into words that help whoever sent the file.

    Args:
        accepted: the format that the signature promised.
        head: the first bytes of the file.
        size_bytes: how long the file is.
        complaint: what libvips said; looked at, never passed on.

    Returns:
        Two sentences: what is wrong, what to do.
    """
    name = accepted.name.upper().replace("WEBP", "WebP")
    declared = declared_size(head)
    if declared is not None and size_bytes < declared:
        share = 100 * size_bytes // declared
        return (
            f"The {name} ends after {share} % of its data ({size_bytes} of {declared} bytes). Send it again."
        )
    if "premature end of JPEG" in complaint or "Unexpected end" in complaint:
        return f"The {name} ends after {size_bytes} bytes, before its picture does. Send it again."
    return (
        f"The {name} is damaged or incomplete: its {size_bytes} bytes cannot be decoded. Send the original."
    )
