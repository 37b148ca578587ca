"""The client of the SMTP server: sends mails."""

import base64
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from aiosmtplib import SMTP, SMTPException, SMTPResponseException

from waybill_email.connection_pool import HOUSEKEEPING_SECONDS, ConnectionPool, Lease
from waybill_email.mail import ComposedMail, OutgoingMail, compose, parse_sender
from waybill_email.smtp_data import begin_content, send_content
from waybill_email.smtp_errors import (
    CLOSING,
    bounded_text,
    connection_failure,
    content_failure,
    envelope_failure,
)
from waybill_worker.attempt import DEFAULT_CIRCUIT, Circuit, CircuitPolicy
from waybill_worker.observe import Attributes, SpanKind, span
from waybill_worker.runtime import TlsFiles

#: RFC 5321, 4.2.1: the first digit 2 says "positive completion".
_SUCCESS = range(200, 300)


@dataclass(frozen=True, slots=True)
class SentMail:
    """A mail that the server has accepted.

    Attributes:
        message_id: the full `Message-ID`, with brackets.
        server_response: the answer of the server, usually with a queue id; one line, at most 300 characters.
    """

    message_id: str
    server_response: str


class _StaleConnectionError(Exception):
    """A reused connection was closed or out of step before the server accepted any content."""


async def _nothing() -> None:
    """The default for `before_content`."""


class Mailer:
    """Sends mails through one SMTP server over a few persistent connections.

    Args:
        host: name of the server; with TLS also the name in its certificate.
        port: port of the server.
        username: for AUTH; None: no login.
        password: for AUTH; not in errors and logs.
        tls: `none`; `starttls`: refuse a server without it; `tls`: from the first byte (port 465).
        sender: `no-reply@example.com` or `Example <no-reply@example.com>`; its domain is also used in EHLO
            and Message-IDs.
        connections: mails that may be sent at once; further mails wait.
        timeout_seconds: the longest wait for the connection, and for each answer of the server.
        tls_context: trust other than the system's, for a private certificate authority.
        circuit: when to stop calling a server that is unreachable or out of service.

    Raises:
        ValueError: the arguments are inconsistent.
    """

    def __init__(  # noqa: PLR0913 - a mail account has this many settings
        self,
        host: str,
        port: int,
        *,
        username: str | None,
        password: str | None,
        tls: Literal["none", "starttls", "tls"],
        sender: str,
        connections: int = 4,
        timeout_seconds: float = 20,
        tls_context: ssl.SSLContext | None = None,
        circuit: CircuitPolicy = DEFAULT_CIRCUIT,
    ) -> None:
        if (username is None) != (password is None):
            raise ValueError("give the mail server's username and password together, or neither")
        self._host = host
        self._port = port
        self._username = username
        self._password = password
        self._secrets = _login_secrets(username, password)
        self._tls = tls
        self._sender = parse_sender(sender)
        self._timeout_seconds = timeout_seconds
        # Made once: reading the system's certificates takes tens of milliseconds.
        self._tls_context = None if tls == "none" else tls_context or TlsFiles().context()
        self._server = f"{host}:{port}"
        self._place: Attributes = {
            "server.address": host,
            "server.port": port,
            "network.protocol.name": "smtp",
        }
        self._circuit = Circuit(f"the mail server {self._server}", circuit)
        self._pool = ConnectionPool(connections, self._connect)

    async def send(
        self, mail: OutgoingMail, *, before_content: Callable[[], Awaitable[None]] = _nothing
    ) -> SentMail:
        """Send a mail to the server.

        Args:
            mail: the mail.
            before_content: awaited after the server accepted DATA and before any content is sent, as a repeat
                cannot be recognised after the content; if it raises, no content is sent.

        Returns:
            The Message-ID and the answer of the server, which is now responsible for the mail.

        Raises:
            PermanentError: the mail is malformed, or the server refused it with 5xx.
            TransientError: 4xx, a time-out, a lost connection.
            UnreachableError: no connection, or a refusal before any mail.
            OutOfServiceError: the server reports a problem of its own, or accepts no mail of this sender.
            RateLimitedError: the server temporarily accepts no more.
            CircuitOpenError: it was unreachable or out of service recently, so nothing was tried.
            DeliveryUnknownError: no answer came after the end of the content.
        """
        composed = compose(mail, self._sender)
        with span("send mail", SpanKind.CLIENT, self._place):
            async with self._pool.slot():
                return await self._circuit.call(partial(self._hand_over, composed, before_content))

    async def close(self) -> None:
        """Close idle connections; one in use is closed when its mail is finished."""
        await self._pool.close()

    async def _connect(self) -> SMTP:
        smtp = SMTP(
            hostname=self._host,
            port=self._port,
            username=self._username,
            password=self._password,
            # Otherwise aiosmtplib looks up the host name in the DNS for every connection.
            local_hostname=self._sender.domain,
            timeout=self._timeout_seconds,
            use_tls=self._tls == "tls",
            start_tls=self._tls == "starttls",
            tls_context=self._tls_context,
        )
        try:
            await smtp.connect()
            if smtp.is_ehlo_or_helo_needed:
                # Here, not with the first mail: a refused greeting is not a refusal of that mail.
                await smtp.ehlo()
        except (SMTPException, OSError) as error:
            smtp.close()
            raise connection_failure(error, self._server, *self._secrets) from error
        except BaseException:
            smtp.close()
            raise
        return smtp

    async def _hand_over(self, mail: ComposedMail, before_content: Callable[[], Awaitable[None]]) -> SentMail:
        try:
            return await self._deliver(mail, before_content, fresh=False)
        except _StaleConnectionError:
            return await self._deliver(mail, before_content, fresh=True)

    async def _deliver(
        self, mail: ComposedMail, before_content: Callable[[], Awaitable[None]], *, fresh: bool
    ) -> SentMail:
        async with self._pool.lease(fresh=fresh) as lease:
            try:
                await self._send_envelope(lease.smtp, mail)
            except (SMTPException, OSError) as error:
                if lease.reused and (_is_closed_by_server(error) or _is_out_of_step(error)):
                    raise _StaleConnectionError from error
                await _reset(lease, error)
                raise envelope_failure(error, self._server, *self._secrets) from error
            await before_content()
            try:
                answer = await send_content(lease.smtp, mail.content, self._timeout_seconds)
            except (SMTPException, OSError) as error:
                await _reset(lease, error)
                raise content_failure(error, self._server, *self._secrets) from error
            lease.reusable = True
            return SentMail(mail.message_id, bounded_text(answer.message, *self._secrets))

    async def _send_envelope(self, smtp: SMTP, mail: ComposedMail) -> None:
        # Given the size (RFC 1870), a server refuses a mail that is too large before its content is sent.
        options = [f"SIZE={len(mail.content)}"] if smtp.supports_extension("size") else []
        await smtp.mail(mail.sender, options=options)
        await smtp.rcpt(mail.recipient)
        await begin_content(smtp)


def _is_out_of_step(error: Exception) -> bool:
    # Success instead of the request for content: the server has answered an earlier command twice.
    return isinstance(error, SMTPResponseException) and error.code in _SUCCESS


def _is_closed_by_server(error: Exception) -> bool:
    if isinstance(error, SMTPResponseException):
        return error.code == CLOSING
    return isinstance(error, ConnectionError) and not isinstance(error, TimeoutError)


def _login_secrets(username: str | None, password: str | None) -> tuple[str, ...]:
    # Also as sent by AUTH LOGIN and AUTH PLAIN (RFC 4954, 4616): a server may quote what it refuses.
    if username is None or password is None:
        return ()
    forms = (password, f"\0{username}\0{password}")
    return (*(base64.b64encode(form.encode()).decode("ascii") for form in forms), password)


async def _reset(lease: Lease, error: Exception) -> None:
    """Reset the connection after a refusal, so that a bad address does not cost a new connection."""
    if not isinstance(error, SMTPResponseException) or error.code <= 0 or not lease.smtp.is_connected:
        return
    try:
        await lease.smtp.rset(timeout=HOUSEKEEPING_SECONDS)
    except (SMTPException, OSError):
        # The caller gets the refusal; this connection is closed.
        return
    lease.reusable = True
