"""Makes a server's words fit for a task's record."""

import re
from collections.abc import Iterable

#: Enough for a problem document's title and detail.
MAX_WORDS = 500
#: A shorter part of a header value (`Bearer`) is no secret, and would mask half the text.
_MIN_SECRET_LENGTH = 8
#: Line breaks and other characters that would garble a log line.
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")
#: Credentials that a server quotes back, whoever they belong to.
_CREDENTIALS = re.compile(r"\b(Bearer|Basic)\s+[^\s\"',]+", re.IGNORECASE)
#: Personal data that validation errors like to repeat. It is tried only where a word begins: else a long body
#: without any address costs time by the square of its length.
_MAIL_ADDRESS = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]+(\.[\w-]+)+")


def masked_words(body: bytes, secrets: Iterable[str]) -> str:
    """Shorten and mask the beginning of a response body.

    Args:
        body: its first bytes; read as UTF-8, whatever it claims to be.
        secrets: header values that we sent; they and their parts are masked.

    Returns:
        One line of at most 500 characters, without the secrets, credentials and mail addresses.
    """
    words = body.decode("utf-8", errors="replace")
    for secret in secrets:
        for part in (secret, *secret.split()):
            if len(part) >= _MIN_SECRET_LENGTH:
                words = words.replace(part, "***")
    words = _CREDENTIALS.sub(r"\1 ***", words)
    words = _MAIL_ADDRESS.sub("***@***", words)
    line = _UNPRINTABLE.sub(" ", words).strip()
    return line if len(line) <= MAX_WORDS else line[: MAX_WORDS - 1] + "…"
