"""Keys of the object store."""

import re

#: A part of a key; parts are separated by single slashes. File systems and URLs read a key unchanged.
_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SUFFIX = re.compile(r"(\.[a-z0-9]{1,8})?")


def content_key(sha256: str, *, prefix: str, suffix: str = "") -> str:
    """The key of content with this hash.

    Raises:
        ValueError: a part cannot be in a key.
    """
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"not a SHA-256 in lower-case hex: {sha256!r}")
    if not _SUFFIX.fullmatch(suffix):
        raise ValueError(f"not a file name's suffix: {suffix!r}")
    key = f"{prefix}/{sha256[:2]}/{sha256}{suffix}"
    check_key(key)
    return key


def check_key(key: str) -> None:
    """Raises ValueError unless it is a key: relative, no empty, `.` or `..` parts, no special characters."""
    if not all(_PART.fullmatch(part) for part in key.split("/")):
        raise ValueError(f"not an object's key: {key!r}")
