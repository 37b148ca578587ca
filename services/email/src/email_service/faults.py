"""What an SMTP failure means for the task: whether another attempt can help, and in which words."""

import re

from aiosmtplib import SMTPException, SMTPResponseException

from chassis.errors import (
    PermanentError,
    RateLimitedError,
    TransientError,
    UncertainError,
    UnreachableError,
)

#: Enough for an enhanced status code and a sentence; a server may send 32 KiB.
_MAX_WORDS = 300
#: Line breaks and other characters that would garble a log line.
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
#: RFC 5321, 4.2.1: the first digit 5 says "permanent negative completion".
_PERMANENT = range(500, 600)
#: RFC 3463, 3.8: a persistent transient failure for security or policy: too many mails, or greylisting.
_POLICY = re.compile(r"\s*4\.7\.\d{1,3}\b")


class DeliveryUnknownError(UncertainError):
    """The server may or may not have taken the mail: the answer to its content never came.

    SMTP cannot tell (RFC 1047). A repeat has the same `Message-ID`, by which most mailboxes drop the double.
    """


def bounded_words(words: str, *secrets: str) -> str:
    """Make a server's words fit for a record: one line, at most 300 characters, without the given secrets."""
    for secret in filter(None, secrets):
        words = words.replace(secret, "***")
    line = _UNPRINTABLE.sub(" ", words).strip()
    return line if len(line) <= _MAX_WORDS else line[: _MAX_WORDS - 1] + "…"


def connection_failure(error: Exception, server: str, *secrets: str) -> UnreachableError:
    """Describe a connection that could not be set up: always transient.

    A refused login or certificate (5xx included) speaks of the configuration, not of the mail: the mails
    wait while it is put right, and are not given up by the thousand.

    Args:
        error: what aiosmtplib or the system raised while connecting, greeting, STARTTLS or AUTH.
        server: `host:port`.
        secrets: never to appear in the words.
    """
    return UnreachableError(f"cannot connect to the mail server {server}: {_describe(error, *secrets)}")


def envelope_failure(
    error: Exception, server: str, *secrets: str
) -> TransientError | RateLimitedError | PermanentError:
    """Describe a failure at MAIL or RCPT: permanent for 5xx, rate-limited for 4.7.x, else transient."""
    message = f"the mail server {server} did not take the mail's envelope: {_describe(error, *secrets)}"
    if is_permanent(error):
        return PermanentError(message)
    return RateLimitedError(message) if is_put_off(error) else TransientError(message)


def content_failure(
    error: Exception, server: str, *secrets: str
) -> TransientError | RateLimitedError | PermanentError | DeliveryUnknownError:
    """Describe a failure from DATA on: as of the envelope where there is an answer, else unknown."""
    words = _describe(error, *secrets)
    if is_permanent(error):
        return PermanentError(f"the mail server {server} refused the mail: {words}")
    if isinstance(error, SMTPResponseException) and error.code > 0:
        message = f"the mail server {server} did not take the mail: {words}"
        return RateLimitedError(message) if is_put_off(error) else TransientError(message)
    return DeliveryUnknownError(
        f"the mail server {server} gave no answer to the mail's content, and may have taken it: {words}"
    )


def is_permanent(error: Exception) -> bool:
    """Whether it is an answer of 500 to 599."""
    return isinstance(error, SMTPResponseException) and error.code in _PERMANENT


def is_put_off(error: Exception) -> bool:
    """Whether it is a 4xx answer that says by its status (4.7.x) that the server takes no more just now."""
    return (
        isinstance(error, SMTPResponseException)
        and 400 <= error.code < _PERMANENT.start  # noqa: PLR2004 - RFC 5321, 4.2.1
        and _POLICY.match(error.message) is not None
    )


def _describe(error: Exception, *secrets: str) -> str:
    if isinstance(error, SMTPResponseException):
        return bounded_words(f"{error.code} {error.message}", *secrets)
    words = error.message if isinstance(error, SMTPException) else str(error)
    return bounded_words(words or type(error).__name__, *secrets)
