"""The mailbox's SMTP side (RFC 5321, with SMTPUTF8 and 8BITMIME)."""
# ruff: noqa: ARG002 (aiosmtpd calls its hooks with more than each of them needs)

import asyncio
import socket
import weakref
from collections.abc import Callable

from aiosmtpd.smtp import SMTP, Envelope, Session
from typing_extensions import override

from waybill_devstack.mailbox.faults import Faults, Mode
from waybill_devstack.mailbox.mails import Mail, Mails

#: The limit of most providers lies between 10 and 50 MiB; announced as SIZE, answered with 552 above.
MAX_MAIL_BYTES = 10 * 1024 * 1024
#: As of a real relay; also limits the time that one mail takes.
MAX_RECIPIENTS = 100


class Handler:
    """Takes mails into `mails`, or fails as `faults` says.

    The fault is chosen once a mail, at MAIL FROM: a count counts mails, however many recipients they have.

    Args:
        mails: where the mails go.
        faults: asked once for each mail.
        report: called with one readable line for each mail.
    """

    def __init__(self, mails: Mails, faults: Faults, report: Callable[[str], None]) -> None:
        self._mails = mails
        self._faults = faults
        self._report = report
        self._modes: weakref.WeakKeyDictionary[Envelope, Mode] = weakref.WeakKeyDictionary()

    def mode_of(self, envelope: Envelope) -> Mode:
        """The fault mode that was chosen for this mail."""
        return self._modes.get(envelope, "ok")

    async def handle_MAIL(  # noqa: N802 (aiosmtpd finds its hooks by these names)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, mail_options: list[str]
    ) -> str:
        """Answer MAIL FROM."""
        mode = self._faults.take()
        self._modes[envelope] = mode
        if mode == "hang":
            self._report(f"hang: no answer to MAIL FROM <{address}>")
            await asyncio.Event().wait()  # cancelled when the client disconnects or the mailbox stops
        if mode == "drop":
            self._report(f"drop: a mail from <{address}> will be cut off at DATA")
        envelope.mail_from = address
        envelope.mail_options.extend(mail_options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 (a hook, too)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        """Answer RCPT TO."""
        mode = self.mode_of(envelope)
        if mode == "reject":
            self._report(f"reject: 550 to <{address}>")
            return f"550 5.1.1 <{address}>: mailbox unavailable (fault: reject)"
        if mode == "tempfail":
            self._report(f"tempfail: 451 to <{address}>")
            return f"451 4.2.0 <{address}>: try again later (fault: tempfail)"
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(rcpt_options)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 (a hook, too)
        """Take the mail."""
        mail = self._mails.receive(_content(envelope), envelope.mail_from or "", envelope.rcpt_tos)
        if self.mode_of(envelope) == "drop_after":
            self._report(f"drop_after: kept without an answer: {_line(mail)}")
            _disconnect(server)
        else:
            self._report(_line(mail))
        return f"250 2.0.0 Kept as {mail.id}"


class MailboxSMTP(SMTP):
    """aiosmtpd's server that can also drop the connection at the DATA command, where it has no hook."""

    def __init__(self, handler: Handler) -> None:
        super().__init__(
            handler,
            data_size_limit=MAX_MAIL_BYTES,
            enable_SMTPUTF8=True,
            hostname="localhost",  # its default asks the DNS
            ident="Waybill mailbox",
            loop=asyncio.get_running_loop(),
        )
        self._handler = handler

    @override
    async def smtp_DATA(self, arg: str | None) -> None:
        """Answer DATA."""
        if self.envelope is not None and self._handler.mode_of(self.envelope) == "drop":
            _disconnect(self)
            return
        await super().smtp_DATA(arg)


async def start_smtp(listener: socket.socket, handler: Handler) -> asyncio.Server:
    """Take mails from `listener` (bound, listening) until the returned server is closed."""
    return await asyncio.get_running_loop().create_server(lambda: MailboxSMTP(handler), sock=listener)


def _line(mail: Mail) -> str:
    return f"mail {mail.id} from {mail.sender} to {', '.join(mail.to)}: {mail.subject}"


def _content(envelope: Envelope) -> bytes:
    content = envelope.content
    if not isinstance(content, bytes):
        raise TypeError(f"the SMTP server handed over {type(content).__name__}, not the mail's bytes")
    return content


def _disconnect(server: SMTP) -> None:
    if server.transport is not None:  # None: the client was faster
        server.transport.close()
