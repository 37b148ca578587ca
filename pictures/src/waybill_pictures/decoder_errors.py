"""Errors of image decoders, and their explanation for the sender of the file."""

import re

from waybill_contracts.images import ImageFormat


def declared_size(head: bytes) -> int | None:
    """The length in bytes that a WebP file declares; None for other formats.

    Args:
        head: at least the first 8 bytes. RFC 9649 2.4: `RIFF`, then the size of what follows, little endian.
    """
    if not head.startswith(b"RIFF"):
        return None
    return int.from_bytes(head[4:8], "little") + 8


#: Warnings of libjpeg about complete files, as some cameras and editors write them. Up to 99 stray bytes
#: before a header segment (frame, tables, application data, comment: ITU T.81, B.1) are padding; this warning
#: about compressed data means that some of it is missing.
_HARMLESS = re.compile(
    r"VipsJpeg: (Corrupt JPEG data: \d{1,2} extraneous bytes before marker 0x(c[0-4]|db|dd|e[0-9a-f]|fe)"
    r"|Warning: unknown JFIF revision number .*|Unknown Adobe color transform code .*)"
)


def is_harmless_warning(complaint: str) -> bool:
    """Whether libjpeg warns only of irregularities in a complete file, and not of damage.

    Args:
        complaint: the error of libvips when it fails on warnings; one warning a line.
    """
    lines = [line.strip() for line in complaint.splitlines()]
    warnings = [line for line in lines if line.startswith("VipsJpeg:")]
    return bool(warnings) and all(_HARMLESS.fullmatch(line) for line in warnings)


#: Messages of libvips, libjpeg, GLib and libheif if an allocation or the stack of a thread was refused.
_LACK_OF_MEMORY = ("out of memory", "Insufficient memory", "Error creating thread", "Memory allocation error")


def is_lack_of_memory(complaint: str) -> bool:
    """Whether a decoder failed because it may use no more memory, and not because of damage.

    Args:
        complaint: the error of the decoder.
    """
    return any(words in complaint for words in _LACK_OF_MEMORY)


def lacks_end(complaint: str) -> bool:
    """Whether libjpeg reached the end of the file before an end marker."""
    return "premature end of JPEG" in complaint


def unsupported_feature(complaint: str) -> str | None:
    """Returns which feature of a complete file its decoder does not support, or None.

    Args:
        complaint: the error of the decoder.

    Returns:
        Two sentences: the feature, what to do.
    """
    if precision := re.search(r"Unsupported JPEG data precision (\d+)", complaint):
        return f"{precision[1]}-bit JPEG is not supported. Save it with 8 bits, or as PNG."
    if "Unsupported JPEG process" in complaint or "arithmetic coding" in complaint:
        return "This kind of JPEG is not supported. Save it again as an ordinary JPEG."
    if "compression format has not been built in" in complaint:
        return "The compression of this file is not supported. Save it as JPEG or PNG."
    return None


def describe_damage(accepted: ImageFormat, head: bytes, size_bytes: int, complaint: str) -> str:
    """Explains the error of a decoder to the sender of the file.

    Args:
        accepted: the format that the signature of the file states.
        head: the first bytes of the file.
        size_bytes: length of the file.
        complaint: the error of libvips; evaluated, but not quoted.

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
