"""The formats that are accepted as originals, recognised by their first bytes."""

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """A format that is accepted as an original."""

    #: As it appears in results and messages.
    name: str
    content_type: str
    #: The libvips loader; all loaders not named here stay blocked. None: libvips cannot read it, and another
    #: library does.
    libvips_loader: str | None


#: What browsers show and cameras write. Not accepted on purpose: TIFF (a container of many codecs, rare on
#: the web), SVG and PDF (they can contain programs).
ACCEPTED_FORMATS = MappingProxyType(
    {
        accepted.name: accepted
        for accepted in (
            ImageFormat("jpeg", "image/jpeg", "VipsForeignLoadJpeg"),
            ImageFormat("png", "image/png", "VipsForeignLoadPng"),
            ImageFormat("webp", "image/webp", "VipsForeignLoadWebp"),
            ImageFormat("gif", "image/gif", "VipsForeignLoadNsgif"),
            ImageFormat("avif", "image/avif", "VipsForeignLoadHeif"),
            ImageFormat("heic", "image/heic", None),
        )
    }
)

#: Enough leading bytes to recognise every format below: SVG comes after an XML declaration.
SNIFF_BYTES = 512

#: Leading bytes of other formats that people send, to name the format in the refusal.
_UNSUPPORTED_SIGNATURES = (
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"BM", "BMP"),
    (b"%PDF", "PDF"),
    (b"8BPS", "Photoshop"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
)

#: ISO 23008-12 (HEIF) and related: brands of an `ftyp` box, and the coding of the picture that they state.
_CODED_AS = MappingProxyType(
    {b"avif": "avif", b"avis": "avif"}
    | dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), "heic")
)
#: Brands that state only that it is HEIF.
_ANY_HEIF = frozenset({b"mif1", b"mif2", b"msf1", b"miaf"})


def _brands(head: bytes) -> list[bytes]:
    """The brands of an ISO 14496-12 file: the major brand, then the compatible ones."""
    if head[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return [head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))]


def sniff(head: bytes) -> ImageFormat | None:
    """Recognises an accepted format by its signature; the name and declared type of a file prove nothing.

    Args:
        head: the first `SNIFF_BYTES` of the file, or all of a shorter one.

    Returns:
        The format, or None. Signatures: ITU T.81 B.1.1.3 (JPEG), PNG specification 5.2, RFC 9649 2.4 (WebP),
        GIF89a specification 17, ISO 14496-12 4.3 (AVIF, HEIC).
    """
    if head.startswith(b"\xff\xd8\xff"):
        return ACCEPTED_FORMATS["jpeg"]
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return ACCEPTED_FORMATS["png"]
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return ACCEPTED_FORMATS["webp"]
    if head.startswith((b"GIF87a", b"GIF89a")):
        return ACCEPTED_FORMATS["gif"]
    brands = _brands(head)
    if brands and (brands[0] in _CODED_AS or brands[0] in _ANY_HEIF):
        # The major brand first; if it states only HEIF, a compatible brand states the coding.
        return next((ACCEPTED_FORMATS[_CODED_AS[brand]] for brand in brands if brand in _CODED_AS), None)
    return None


def unsupported_format(head: bytes) -> str | None:
    """Returns the name of a known format that is not accepted, or None.

    Args:
        head: the first `SNIFF_BYTES` of the file, or all of a shorter one.
    """
    if head[8:12] in _ANY_HEIF and head[4:8] == b"ftyp":
        return "HEIF"
    for signature, name in _UNSUPPORTED_SIGNATURES:
        if head.startswith(signature):
            return name
    return "SVG" if b"<svg" in head.lower() else None
