"""Sends the content of a mail (RFC 5321, 4.1.1.4) in steps that show whether the server can have it.

Until the line with the final dot is sent, the server does not have the mail. After that, only its answer
shows whether it has.
"""

import asyncio

from aiosmtplib import SMTP, SMTPDataError, SMTPException, SMTPReadTimeoutError, SMTPServerDisconnected
from aiosmtplib.protocol import SMTPProtocol, normalize_message_line_endings
from aiosmtplib.response import SMTPResponse

_GO_ON = 354
_TAKEN = 250
_END = b".\r\n"


class ContentInterruptedError(SMTPException):
    """The connection failed before the end of the content was sent: the server does not have the mail."""


async def begin_content(smtp: SMTP) -> None:
    """Sends DATA, and returns when the server is ready for the content.

    Raises:
        SMTPDataError: the server refuses.
        SMTPException, OSError: the connection failed, or no answer came in time.
    """
    answer = await smtp.execute_command(b"DATA")
    if answer.code != _GO_ON:
        raise SMTPDataError(answer.code, answer.message)


async def send_content(smtp: SMTP, content: bytes, timeout_seconds: float) -> SMTPResponse:
    """Sends the content and its end, and returns the answer of the server, which has accepted the mail.

    Args:
        smtp: the connection, after `begin_content`.
        content: all lines of the mail.
        timeout_seconds: the longest wait until the content is sent, and for the answer.

    Raises:
        ContentInterruptedError: the end was not sent, so the server does not have the mail.
        SMTPDataError: the server refused the mail.
        SMTPException, OSError: no answer came, so the server may have the mail.
    """
    protocol = smtp.protocol
    try:
        if protocol is None:
            raise SMTPServerDisconnected("Connection lost")
        await _send_all_but_end(protocol, content, timeout_seconds)
        protocol.write(_END)
    except (SMTPException, OSError) as error:
        raise ContentInterruptedError(str(error)) from error
    answer = await protocol.read_response(timeout=timeout_seconds)
    if answer.code != _TAKEN:
        raise SMTPDataError(answer.code, answer.message)
    return answer


def stuffed(content: bytes) -> bytes:
    """The content as sent: a line that begins with a dot gets another dot (RFC 5321, 4.5.2)."""
    lines = normalize_message_line_endings(content).replace(b"\n.", b"\n..")
    return b"." + lines if lines.startswith(b".") else lines


async def _send_all_but_end(protocol: SMTPProtocol, content: bytes, timeout_seconds: float) -> None:
    if isinstance(protocol.transport, asyncio.WriteTransport):
        # Drained then means that all of it was sent, not that less than a full buffer is left.
        protocol.transport.set_write_buffer_limits(high=0)
    protocol.write(stuffed(content))
    try:
        async with asyncio.timeout(timeout_seconds):
            await protocol._drain_helper()  # noqa: SLF001 - as a StreamWriter does; the library offers no other way
    except TimeoutError as error:
        raise SMTPReadTimeoutError("Timed out while the content was sent") from error
