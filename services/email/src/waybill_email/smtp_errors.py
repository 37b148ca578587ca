"""What an SMTP failure means for the task: whether another attempt can help, and in which words."""

import re
from typing import TypeGuard

from aiosmtplib import SMTPException, SMTPResponseException, SMTPSenderRefused

from waybill_email.smtp_data import ContentInterruptedError
from waybill_worker.errors import (
    HandlerError,
    OutOfServiceError,
    PermanentError,
    RateLimitedError,
    TransientError,
    UncertainError,
    UnreachableError,
)

#: Enough for an enhanced status code and a sentence; a server may send 32 KiB.
_MAX_TEXT_LENGTH = 300
#: Line breaks and other characters that would garble a log line.
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
#: RFC 5321, 4.2.1: the first digit 5 says "permanent negative completion".
_PERMANENT = range(500, 600)
#: RFC 5321, 4.2.1: the first digit 4 says "transient negative completion".
_TRANSIENT = range(400, 500)
#: RFC 3463, 2: the enhanced status; its class, subject and detail, at the beginning of a server's words.
_STATUS = re.compile(r"\s*[245]\.(\d{1,3})\.(\d{1,3})\b")
#: RFC 3463, 3.4 and 3.5: the mail system (full, not accepting, misconfigured), and its network and routing.
_SUBJECTS_OF_SERVER = {"3", "4"}
#: RFC 3463, 3.8: security or policy.
_SUBJECT_OF_POLICY = "7"
#: RFC 3463, 3.3 and 3.4: the message is longer than the mailbox, or the system, takes.
_TOO_LONG = {("2", "3"), ("3", "4")}
#: RFC 5321, 3.8: "service not available, closing".
CLOSING = 421
#: RFC 4954, 6 and RFC 3207, 4: a password to be changed, no login just now, no login yet, a mechanism too
#: weak, a login that is wrong, no encryption. They speak of our settings, or of the server's.
_AUTHENTICATION = {432, 454, 530, 534, 535, 538}
#: RFC 5321, 4.5.3.1.9: the message is too long.
_EXCEEDED = 552


class DeliveryUnknownError(UncertainError):
    """The server may or may not have taken the mail: the answer to its content never came.

    SMTP cannot resolve that (RFC 1047). A repeat has its `Message-ID`, by which most mailboxes drop it.
    """


def bounded_text(words: str, *secrets: str) -> str:
    """Make a server's words fit for a record: one line, at most 300 characters, without the given secrets."""
    for secret in filter(None, secrets):
        words = words.replace(secret, "***")
    line = _UNPRINTABLE.sub(" ", words).strip()
    return line if len(line) <= _MAX_TEXT_LENGTH else line[: _MAX_TEXT_LENGTH - 1] + "…"


def connection_failure(error: Exception, server: str, *secrets: str) -> UnreachableError:
    """Describe a connection that could not be set up: no attempt is counted, for nothing was sent.

    A refused login or certificate (5xx included) speaks of the configuration, not of the mail: the mails
    wait while it is put right, and are not given up by the thousand.

    Args:
        error: what aiosmtplib or the system raised while connecting, greeting, STARTTLS or AUTH.
        server: `host:port`.
        secrets: never to appear in the words.
    """
    return UnreachableError(f"cannot connect to the mail server {server}: {_describe(error, *secrets)}")


def envelope_failure(error: Exception, server: str, *secrets: str) -> HandlerError:
    """Describe a failure at MAIL, RCPT or DATA: the server does not have the mail.

    Out of service where the answer is about the server or our login, permanent for other 5xx, and else
    transient. MAIL holds nothing of a mail but its length: whatever else is refused there is our sender,
    which people put right, and no mail is given up for it meanwhile.
    """
    words = _describe(error, *secrets)
    if isinstance(error, SMTPSenderRefused) and _is_refusal(error) and not _is_too_long(error):
        message = f"the mail server {server} takes no mails of this sender: {words}"
        return RateLimitedError(message) if _is_rate_limit(error) else OutOfServiceError(message)
    return _failure(error, server, "did not take the mail's envelope", words)


def content_failure(error: Exception, server: str, *secrets: str) -> HandlerError:
    """Describe a failure from the content on.

    As of the envelope where the server has answered, transient where it cannot have the mail, else unknown.
    """
    words = _describe(error, *secrets)
    if isinstance(error, ContentInterruptedError) or _is_refusal(error):
        return _failure(error, server, "did not take the mail's content", words)
    return DeliveryUnknownError(
        f"the mail server {server} gave no answer to the mail's content, and may have taken it: {words}"
    )


def _failure(error: Exception, server: str, what: str, words: str) -> HandlerError:
    message = f"the mail server {server} {what}: {words}"
    if not _is_refusal(error):
        return TransientError(message)
    if _is_of_server(error):
        return OutOfServiceError(message)
    return PermanentError(message) if error.code in _PERMANENT else TransientError(message)


def _is_refusal(error: Exception) -> TypeGuard[SMTPResponseException]:
    return isinstance(error, SMTPResponseException) and error.code in {*_TRANSIENT, *_PERMANENT}


def _is_of_server(error: SMTPResponseException) -> bool:
    """Whether the refusal is about the server or our login, and would meet any other mail as well."""
    if error.code == CLOSING or error.code in _AUTHENTICATION:
        return True
    return error.code in _TRANSIENT and _status_of(error)[0] in _SUBJECTS_OF_SERVER


def _is_too_long(error: SMTPResponseException) -> bool:
    return error.code in _PERMANENT and (error.code == _EXCEEDED or _status_of(error) in _TOO_LONG)


def _is_rate_limit(error: SMTPResponseException) -> bool:
    """Whether it says by its status (4.7.x) that the server takes no more just now."""
    of_policy = error.code in _TRANSIENT and _status_of(error)[0] == _SUBJECT_OF_POLICY
    return of_policy and not _is_of_server(error)


def _status_of(error: SMTPResponseException) -> tuple[str, str]:
    """Subject and detail of the enhanced status; empty where there is none."""
    found = _STATUS.match(error.message)
    return (found[1], found[2]) if found else ("", "")


def _describe(error: Exception, *secrets: str) -> str:
    if isinstance(error, SMTPResponseException):
        return bounded_text(f"{error.code} {error.message}", *secrets)
    words = error.message if isinstance(error, SMTPException) else str(error)
    return bounded_text(words or type(error).__name__, *secrets)
