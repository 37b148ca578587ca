"""Maps SMTP failures to errors of a task: whether another attempt can help, and a message."""

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
#: RFC 3463, 2: the enhanced status; class, subject and detail, at the beginning of an answer.
_STATUS = re.compile(r"\s*[245]\.(\d{1,3})\.(\d{1,3})\b")
#: RFC 3463, 3.4 and 3.5: the mail system (full, not accepting, misconfigured), and its network and routing.
_SUBJECTS_OF_SERVER = {"3", "4"}
#: RFC 3463, 3.8: security or policy.
_SUBJECT_OF_POLICY = "7"
#: RFC 3463, 3.3 and 3.4: the message is too long for the mailbox, or for the system.
_TOO_LONG = {("2", "3"), ("3", "4")}
#: RFC 5321, 3.8: "service not available, closing".
CLOSING = 421
#: RFC 4954, 6 and RFC 3207, 4: password to be changed, login temporarily impossible, login missing,
#: mechanism too weak, wrong login, no encryption. They concern our settings, or those of the server.
_AUTHENTICATION = {432, 454, 530, 534, 535, 538}
#: RFC 5321, 4.5.3.1.9: the message is too long.
_EXCEEDED = 552


class DeliveryUnknownError(UncertainError):
    """The server may have accepted the mail: its answer to the content did not arrive.

    SMTP has no way to find out (RFC 1047). A repeat has the same `Message-ID`, by which most mailboxes drop
    the duplicate.
    """


def bounded_text(text: str, *secrets: str) -> str:
    """Return the text of a server as one line of at most 300 characters, without the given secrets."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    line = _UNPRINTABLE.sub(" ", text).strip()
    return line if len(line) <= _MAX_TEXT_LENGTH else line[: _MAX_TEXT_LENGTH - 1] + "…"


def connection_failure(error: Exception, server: str, *secrets: str) -> UnreachableError:
    """Return the error for a connection that failed: no attempt is counted, as nothing was sent.

    A refused login or certificate (5xx too) is a problem of the configuration, not of the mail: mails wait
    until it is fixed, instead of being given up by the thousand.

    Args:
        error: what aiosmtplib or the system raised while connecting, greeting, STARTTLS or AUTH.
        server: `host:port`.
        secrets: removed from the message.
    """
    return UnreachableError(f"cannot connect to the mail server {server}: {_describe(error, *secrets)}")


def envelope_failure(error: Exception, server: str, *secrets: str) -> HandlerError:
    """Return the error for a failure at MAIL, RCPT or DATA: the server does not have the mail.

    Out of service if the answer concerns the server or our login, permanent for other 5xx, else transient.
    MAIL contains only the sender and the length of a mail. So any refusal there that is not about the length
    concerns our sender, which operators fix, and no mail is given up meanwhile.
    """
    words = _describe(error, *secrets)
    if isinstance(error, SMTPSenderRefused) and _is_refusal(error) and not _is_too_long(error):
        message = f"the mail server {server} accepts no mails of this sender: {words}"
        return RateLimitedError(message) if _is_rate_limit(error) else OutOfServiceError(message)
    return _failure(error, server, "did not accept the envelope of the mail", words)


def content_failure(error: Exception, server: str, *secrets: str) -> HandlerError:
    """Return the error for a failure while or after the content is sent.

    As for the envelope if the server has answered; transient if it cannot have the mail; else the delivery is
    unknown.
    """
    words = _describe(error, *secrets)
    if isinstance(error, ContentInterruptedError) or _is_refusal(error):
        return _failure(error, server, "did not accept the content of the mail", words)
    return DeliveryUnknownError(
        f"the mail server {server} gave no answer to the mail's content, and may have accepted it: {words}"
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
    """Whether the refusal concerns the server or our login, and so would any other mail be refused."""
    if error.code == CLOSING or error.code in _AUTHENTICATION:
        return True
    return error.code in _TRANSIENT and _status_of(error)[0] in _SUBJECTS_OF_SERVER


def _is_too_long(error: SMTPResponseException) -> bool:
    return error.code in _PERMANENT and (error.code == _EXCEEDED or _status_of(error) in _TOO_LONG)


def _is_rate_limit(error: SMTPResponseException) -> bool:
    """Whether the status (4.7.x) says that the server temporarily accepts no more."""
    of_policy = error.code in _TRANSIENT and _status_of(error)[0] == _SUBJECT_OF_POLICY
    return of_policy and not _is_of_server(error)


def _status_of(error: SMTPResponseException) -> tuple[str, str]:
    """Subject and detail of the enhanced status; empty if there is none."""
    found = _STATUS.match(error.message)
    return (found[1], found[2]) if found else ("", "")


def _describe(error: Exception, *secrets: str) -> str:
    if isinstance(error, SMTPResponseException):
        return bounded_text(f"{error.code} {error.message}", *secrets)
    words = error.message if isinstance(error, SMTPException) else str(error)
    return bounded_text(words or type(error).__name__, *secrets)
