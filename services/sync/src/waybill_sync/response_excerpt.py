"""Makes a server's words fit for a task's record."""

import binascii
import re
from collections.abc import Iterable, Iterator

from waybill_contracts.privacy.mask import Mask

#: Enough for a problem document's title and detail.
MAX_EXCERPT_LENGTH = 500
#: A shorter part of a header value (`Bearer`) is no secret, and would mask half the text.
_MIN_SECRET_LENGTH = 8
#: Line breaks and other characters that would garble a log line.
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")
#: Credentials that a server quotes back, whoever they belong to.
_CREDENTIALS = re.compile(r"\b(Bearer|Basic)\s+[^\s\"',]+", re.IGNORECASE)
#: Personal data that validation errors like to repeat. It is tried only where a word begins: else a long body
#: without any address costs time by the square of its length.
_MAIL_ADDRESS = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]+(\.[\w-]+)+")


def header_mask(values: Iterable[str]) -> Mask:
    """Hides header values that we send, their parts, and the login in one of `Basic`, in any writing."""
    parts = (part for value in values for part in (value, *value.split(), *_login(value)))
    return Mask([part for part in parts if len(part) >= _MIN_SECRET_LENGTH])


def masked_excerpt(body: bytes, secrets: Mask) -> str:
    """Shorten and mask the beginning of a response body.

    Args:
        body: its first bytes; read as UTF-8, whatever it claims to be.
        secrets: hides the header values that we sent.

    Returns:
        One line of at most 500 characters, without the secrets, credentials and mail addresses.
    """
    words = secrets.text(body.decode("utf-8", errors="replace"))
    words = _CREDENTIALS.sub(r"\1 ***", words)
    words = _MAIL_ADDRESS.sub("***@***", words)
    line = _UNPRINTABLE.sub(" ", words).strip()
    return line if len(line) <= MAX_EXCERPT_LENGTH else line[: MAX_EXCERPT_LENGTH - 1] + "…"


def _login(value: str) -> Iterator[str]:
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() == "basic":
        try:
            login = binascii.a2b_base64(encoded).decode(errors="replace")
        except binascii.Error:
            return  # not what it says: hidden as it is
        yield from (login, login.partition(":")[2])
