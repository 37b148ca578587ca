"""Excerpts of responses for the record of a task, with secrets and personal data masked."""

import binascii
import re
from collections.abc import Iterable, Iterator

from waybill_contracts.privacy import Mask

#: Enough for title and detail of a problem document.
MAX_EXCERPT_LENGTH = 500
#: A shorter part of a header value (`Bearer`) is not secret, and would mask half of the text.
_MIN_SECRET_LENGTH = 8
#: Line breaks and other characters that would garble a log line.
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")
#: Any credentials that a server quotes.
_CREDENTIALS = re.compile(r"\b(Bearer|Basic)\s+[^\s\"',]+", re.IGNORECASE)
#: Personal data that validation errors often quote. Matched only at the start of a word: otherwise a long
#: body without an address takes quadratic time.
_MAIL_ADDRESS = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]+(\.[\w-]+)+")


def header_mask(values: Iterable[str]) -> Mask:
    """Returns a mask for request header values, their parts, and the login in `Basic` credentials."""
    parts = (part for value in values for part in (value, *value.split(), *_login(value)))
    return Mask([part for part in parts if len(part) >= _MIN_SECRET_LENGTH])


def masked_excerpt(body: bytes, secrets: Mask) -> str:
    """Shorten and mask the start of a response body.

    Args:
        body: its first bytes; decoded as UTF-8, whatever it declares.
        secrets: hides the header values of the request.

    Returns:
        One line of at most 500 characters, without the secrets, credentials and mail addresses.
    """
    text = secrets.text(body.decode("utf-8", errors="replace"))
    text = _CREDENTIALS.sub(r"\1 ***", text)
    text = _MAIL_ADDRESS.sub("***@***", text)
    line = _UNPRINTABLE.sub(" ", text).strip()
    return line if len(line) <= MAX_EXCERPT_LENGTH else line[: MAX_EXCERPT_LENGTH - 1] + "…"


def _login(value: str) -> Iterator[str]:
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() == "basic":
        try:
            login = binascii.a2b_base64(encoded).decode(errors="replace")
        except binascii.Error:
            return  # not Basic credentials: the value itself is hidden
        yield from (login, login.partition(":")[2])
