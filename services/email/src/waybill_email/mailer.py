"""Sends mails over SMTP."""

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
    """A mail that the server has taken over.

    Attributes:
        message_id: the full `Message-ID`, with brackets.
        server_response: what the server said to it, mostly its queue id; one line, at most 300 characters.
    """

    message_id: str
    server_response: str


class _StaleConnectionError(Exception):
    """A reused connection was found closed, or out of step, before it agreed to take any content."""


async def _nothing() -> None:
    """What is done before the content where nobody keeps records."""


class Mailer:
    """Sends mails through one SMTP server over a few kept connections.

    Args:
        host: the server's name; with TLS also the name that its certificate must bear.
        port: the server's port.
        username: for AUTH; None: no login.
        password: for AUTH; appears in no error and no log.
        tls: `none`; `starttls`: refuse a server that cannot; `tls`: from the first byte (port 465).
        sender: `no-reply@example.com` or `Example <no-reply@example.com>`; its domain is also the one of
            EHLO and of the Message-IDs.
        connections: how many mails may be on the wire at once; further ones wait for their turn.
        timeout_seconds: the longest wait for the connection, and for each answer of the server.
        tls_context: trust other than the system's, for a private certificate authority.
        circuit: when the server is left alone because it cannot be reached, or does no work.

    Raises:
        ValueError: the arguments do not fit together.
    """

    def __init__(  # noqa: PLR0913 - a mail account has this many sides
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
        """Hand a mail over to the server.

        Args:
            mail: what is sent.
            before_content: awaited when the server has agreed to take the content and before it gets any,
                because a repeat cannot be recognised later; if it raises, no content is sent.

        Returns:
            Its Message-ID and the server's words, once the server has taken responsibility for it.

        Raises:
            PermanentError: the mail is malformed, or the server refused it with 5xx.
            TransientError: 4xx, a time-out, a lost connection.
            UnreachableError: no connection, or a refusal before any mail.
            OutOfServiceError: the server says that it is in trouble itself, or takes no mail of ours.
            RateLimitedError: it takes no more of ours just now.
            CircuitOpenError: it was unreachable or out of service lately, so nothing was tried.
            DeliveryUnknownError: no answer came after the content's end.
        """
        composed = compose(mail, self._sender)
        with span("send mail", SpanKind.CLIENT, self._place):
            async with self._pool.slot():
                return await self._circuit.call(partial(self._hand_over, composed, before_content))

    async def close(self) -> None:
        """Close the connections; a mail that is on the wire is finished first, by its sender."""
        await self._pool.close()

    async def _connect(self) -> SMTP:
        smtp = SMTP(
            hostname=self._host,
            port=self._port,
            username=self._username,
            password=self._password,
            # Else aiosmtplib looks the machine's name up in the DNS, for every connection.
            local_hostname=self._sender.domain,
            timeout=self._timeout_seconds,
            use_tls=self._tls == "tls",
            start_tls=self._tls == "starttls",
            tls_context=self._tls_context,
        )
        try:
            await smtp.connect()
            if smtp.is_ehlo_or_helo_needed:
                # Here, not with the first mail: a refused greeting must not count as that mail's refusal.
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
        # With its size (RFC 1870) a mail too large is refused before its content is sent.
        options = [f"SIZE={len(mail.content)}"] if smtp.supports_extension("size") else []
        await smtp.mail(mail.sender, options=options)
        await smtp.rcpt(mail.recipient)
        await begin_content(smtp)


def _is_out_of_step(error: Exception) -> bool:
    # Success where the content was to be asked for: the server has answered something before it twice.
    return isinstance(error, SMTPResponseException) and error.code in _SUCCESS


def _is_closed_by_server(error: Exception) -> bool:
    if isinstance(error, SMTPResponseException):
        return error.code == CLOSING
    return isinstance(error, ConnectionError) and not isinstance(error, TimeoutError)


def _login_secrets(username: str | None, password: str | None) -> tuple[str, ...]:
    # Also as AUTH LOGIN and AUTH PLAIN send it (RFC 4954, 4616): a server may quote what it did not like.
    if username is None or password is None:
        return ()
    forms = (password, f"\0{username}\0{password}")
    return (*(base64.b64encode(form.encode()).decode("ascii") for form in forms), password)


async def _reset(lease: Lease, error: Exception) -> None:
    """Ready the connection for the next mail after a refusal, so that bad addresses cost no reconnects."""
    if not isinstance(error, SMTPResponseException) or error.code <= 0 or not lease.smtp.is_connected:
        return
    try:
        await lease.smtp.rset(timeout=HOUSEKEEPING_SECONDS)
    except (SMTPException, OSError):
        # The refusal is what the caller hears of; this connection is closed instead of kept.
        return
    lease.reusable = True
