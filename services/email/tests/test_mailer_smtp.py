"""The mailer against a real SMTP server on a loopback socket: what is sent, and what refusals become."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Literal

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from pydantic import ValidationError

from waybill_email.mail import OutgoingMail
from waybill_email.mailer import Mailer
from waybill_email.settings import EmailSettings
from waybill_email.smtp_errors import DeliveryUnknownError
from waybill_testkit.certificates import Certificates
from waybill_worker.errors import (
    HandlerError,
    OutOfServiceError,
    PermanentError,
    RateLimitedError,
    TransientError,
    UnreachableError,
)
from waybill_worker.runtime.tls import TlsFiles

MAIL = OutgoingMail("ada@example.com", "Hi", "Hello\n.\n..dots", "<p>Hello</p>", "task-1.email", "news")


class Peer:
    """A mail server that answers a command with what the test has put into `replies`."""

    def __init__(self, **replies: str) -> None:
        self.replies = replies
        self.envelopes: list[Envelope] = []
        self.sessions: set[Session] = set()

    async def handle_MAIL(  # noqa: N802 - aiosmtpd finds its hooks by these names
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, mail_options: list[str]
    ) -> str:
        self.sessions.add(session)
        envelope.mail_from = address
        envelope.mail_options.extend(mail_options)
        return self.replies.get("MAIL", "250 OK")

    async def handle_RCPT(  # noqa: N802 - as above
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if "RCPT" not in self.replies:
            envelope.rcpt_tos.append(address)
        return self.replies.get("RCPT", "250 OK")

    async def handle_DATA(  # noqa: N802 - as above
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        self.envelopes.append(envelope)
        return self.replies.get("DATA", "250 2.0.0 queued as 4F1")


@contextlib.asynccontextmanager
async def listening(protocol_factory: Callable[[], SMTP]) -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(protocol_factory, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


@contextlib.asynccontextmanager
async def mailer_for(
    protocol_factory: Callable[[], SMTP], **options: str
) -> AsyncIterator[tuple[Mailer, str]]:
    settings: dict[str, Any] = {
        "username": None,
        "password": None,
        "tls": "none",
        "sender": "Waybill <no-reply@waybill.test>",
        **options,
    }
    async with listening(protocol_factory) as port:
        mailer = Mailer("127.0.0.1", port, **settings)
        try:
            yield mailer, f"127.0.0.1:{port}"
        finally:
            await mailer.close()


def smtp(peer: Peer, **options: Any) -> Callable[[], SMTP]:
    return lambda: SMTP(peer, hostname="peer.test", loop=asyncio.get_running_loop(), **options)


async def test_a_mail_arrives_as_it_was_written() -> None:
    peer = Peer()
    async with mailer_for(smtp(peer)) as (mailer, _):
        sent = await mailer.send(MAIL)

    (envelope,) = peer.envelopes
    assert isinstance(envelope.content, bytes)
    message = message_from_bytes(envelope.content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert sent.message_id == "<task-1.email@waybill.test>"
    assert sent.server_response == "2.0.0 queued as 4F1"
    assert (envelope.mail_from, envelope.rcpt_tos) == ("no-reply@waybill.test", ["ada@example.com"])
    assert message["Message-ID"] == sent.message_id
    assert message["X-Category"] == "news"
    text = message.get_body(("plain",))
    assert text is not None
    assert text.get_content().splitlines() == ["Hello", ".", "..dots"]
    assert any(option.startswith("SIZE=") for option in envelope.mail_options)


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(
    ("code", "error"), [(451, TransientError), (452, TransientError), (550, PermanentError)]
)
async def test_a_refusal_says_who_refused_and_why(command: str, code: int, error: type[HandlerError]) -> None:
    # MAIL contains only the sender and the length of a mail: a refusal there concerns our sender.
    error = OutOfServiceError if command == "MAIL" else error
    peer = Peer(**{command: f"{code} 5.1.1 not today"})
    async with mailer_for(smtp(peer)) as (mailer, server):
        with pytest.raises(error, match=rf"{server} .*: {code} 5\.1\.1 not today") as refused:
            await mailer.send(MAIL)

    assert not isinstance(refused.value, DeliveryUnknownError)


@pytest.mark.parametrize("answer", ["450 4.7.1 not so fast", "451 4.7.28 too many mails"])
async def test_a_server_that_takes_no_more_of_ours_just_now_is_waited_for(answer: str) -> None:
    async with mailer_for(smtp(Peer(MAIL=answer))) as (mailer, _):
        with pytest.raises(RateLimitedError, match=answer):
            await mailer.send(MAIL)


@pytest.mark.parametrize("command", ["RCPT", "DATA"])
@pytest.mark.parametrize("answer", ["450 4.2.0 greylisted", "451 4.7.1 greylisted", "450 come back later"])
async def test_a_greylist_is_about_this_mail_and_met_by_its_next_attempt(command: str, answer: str) -> None:
    async with mailer_for(smtp(Peer(**{command: answer}))) as (mailer, _):
        with pytest.raises(TransientError, match=answer):
            await mailer.send(MAIL)


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(
    "answer",
    [
        *("451 4.3.5 server configuration error", "452 4.3.1 disk is full", "450 4.4.3 no name server"),
        *("421 4.7.0 too many errors", "421 bye", "530 5.7.0 log in first", "535 5.7.8 wrong password"),
        *("454 4.7.0 cannot check your password", "538 5.7.11 encrypt first", "432 4.7.12 new password"),
    ],
)
async def test_trouble_of_the_server_or_our_login_is_not_the_mails(command: str, answer: str) -> None:
    async with mailer_for(smtp(Peer(**{command: answer}))) as (mailer, _):
        with pytest.raises(OutOfServiceError, match=answer):
            await mailer.send(MAIL)


@pytest.mark.parametrize("answer", ["552 too long", "552 5.3.4 too long", "550 5.2.3 too long"])
async def test_a_mail_that_is_too_long_is_refused_for_good(answer: str) -> None:
    async with mailer_for(smtp(Peer(MAIL=answer))) as (mailer, _):
        with pytest.raises(PermanentError, match=answer):
            await mailer.send(MAIL)


async def test_a_refused_mail_leaves_its_connection_usable() -> None:
    peer = Peer(RCPT="550 no such user")
    async with mailer_for(smtp(peer)) as (mailer, _):
        with pytest.raises(PermanentError):
            await mailer.send(MAIL)
        del peer.replies["RCPT"]
        await mailer.send(MAIL)

    assert len(peer.sessions) == 1
    assert peer.envelopes[0].rcpt_tos == ["ada@example.com"]


async def test_a_servers_words_are_bounded_and_of_one_line() -> None:
    peer = Peer(RCPT="550-first\r\n550 " + "\x1b[31m" + "x" * 1000)
    async with mailer_for(smtp(peer)) as (mailer, _):
        with pytest.raises(PermanentError) as refused:
            await mailer.send(MAIL)

    words = str(refused.value)
    assert len(words) < 450
    assert words.isprintable()


async def test_a_mail_larger_than_the_server_takes_is_refused_before_it_is_sent() -> None:
    peer = Peer()
    async with mailer_for(smtp(peer, data_size_limit=100)) as (mailer, _):
        with pytest.raises(PermanentError, match="552"):
            await mailer.send(MAIL)

    assert peer.envelopes == []


async def test_a_refused_login_waits_for_the_configuration_and_keeps_the_password() -> None:
    def refuse(
        _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        return AuthResult(success=False, handled=False, message=f"535 no, {data.password.decode()} is wrong")

    peer = Peer()
    factory = smtp(peer, authenticator=refuse, auth_require_tls=False)
    async with mailer_for(factory, username="waybill", password="s3cret-word") as (mailer, server):
        with pytest.raises(UnreachableError, match=rf"{server}: 535 no, \*\*\* is wrong") as refused:
            await mailer.send(MAIL)

    assert "s3cret-word" not in str(refused.value)


async def test_login_with_the_right_password() -> None:
    def check(
        _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"waybill", b"s3cret"))

    peer = Peer()
    factory = smtp(peer, authenticator=check, auth_require_tls=False, auth_required=False)
    async with mailer_for(factory, username="waybill", password="s3cret") as (mailer, _):
        await mailer.send(MAIL)

    (session,) = peer.sessions
    assert session.authenticated


async def test_a_server_without_starttls_is_refused() -> None:
    peer = Peer()
    async with mailer_for(smtp(peer), tls="starttls") as (mailer, _):
        with pytest.raises(UnreachableError, match="STARTTLS"):
            await mailer.send(MAIL)

    assert peer.sessions == set()


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_mails_go_over_tls(certificates: Certificates, tls: Literal["starttls", "tls"]) -> None:
    # A server that wants to know its clients, too.
    context = certificates.context(certificates.server, asks_clients=True)
    trust = TlsFiles(ca_file=certificates.ca, cert_file=certificates.client).context()
    peer = Peer()
    loop = asyncio.get_running_loop()
    if tls == "tls":
        server = await loop.create_server(smtp(peer), "127.0.0.1", 0, ssl=context)
    else:
        factory = smtp(peer, tls_context=context, require_starttls=True)
        server = await loop.create_server(factory, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    account: dict[str, Any] = {
        "username": None,
        "password": None,
        "tls": tls,
        "sender": "no-reply@waybill.test",
    }
    trusting = Mailer("127.0.0.1", port, tls_context=trust, **account)
    distrusting = Mailer("127.0.0.1", port, **account)
    try:
        await trusting.send(MAIL)
        with pytest.raises(UnreachableError, match="certificate verify failed"):
            await distrusting.send(MAIL)
    finally:
        await trusting.close()
        await distrusting.close()
        server.close()
        await server.wait_closed()

    assert len(peer.envelopes) == 1


async def test_no_server_at_all() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    mailer = Mailer("127.0.0.1", port, username=None, password=None, tls="none", sender="a@waybill.test")

    with pytest.raises(UnreachableError, match=rf"127\.0\.0\.1:{port}"):
        await mailer.send(MAIL)


def test_a_username_without_a_password_is_refused() -> None:
    with pytest.raises(ValueError, match="together"):
        Mailer("127.0.0.1", 25, username="a", password=None, tls="none", sender="a@b.test")


def test_certificates_for_a_server_without_tls_are_a_mistake(certificates: Certificates) -> None:
    settings: dict[str, Any] = {
        "inbox_url": "sqlite:///inbox.db",
        "sender": "a@b.test",
        "smtp_ca_file": certificates.ca,
    }
    assert EmailSettings(**settings).smtp_files.context().get_ca_certs()
    with pytest.raises(ValidationError, match="need smtp_tls to be starttls or tls"):
        EmailSettings(**settings, smtp_tls="none")


@pytest.mark.parametrize(
    "end", ["\r\n.\r\n", "\n.\n", "\n.\r\n", "\r.\r\n", "\r\n.\n", "\r\n.\r", "\r.\r", "\x85.\x85"]
)
@pytest.mark.parametrize("filler", ["", "x" * 2000, "ü"])
async def test_no_second_mail_is_smuggled_in_a_body(end: str, filler: str) -> None:
    second = f"MAIL FROM:<eve@evil.test>{end[0]}RCPT TO:<victim@example.com>{end[0]}DATA{end[0]}Hi{end}"
    words = f"{filler}First{end}{second}"
    peer = Peer()
    async with mailer_for(smtp(peer)) as (mailer, _):
        await mailer.send(OutgoingMail("ada@example.com", "Hi", words, f"<p>{words}", "task-1.email"))
        await mailer.send(MAIL)

    assert [envelope.rcpt_tos for envelope in peer.envelopes] == [["ada@example.com"]] * 2
    content = peer.envelopes[0].content
    assert isinstance(content, bytes)
    # No line end that some server reads as one and another does not.
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert b"\r" not in content.replace(b"\r\n", b"")
    assert max(map(len, content.split(b"\r\n"))) <= 998
