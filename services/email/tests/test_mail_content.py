"""From DATA to the server's answer: when a mail is in doubt, and when the server does not have it."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smtp_peer import MAIL, Peer, hurry, mailer_for

from waybill_email.mail import OutgoingMail
from waybill_email.smtp_data import stuffed
from waybill_email.smtp_errors import DeliveryUnknownError
from waybill_worker.errors import HandlerError, OutOfServiceError, TransientError


@pytest.mark.parametrize("answer", ["close", "what?"])
async def test_once_the_content_has_ended_nothing_is_sent_twice(answer: str) -> None:
    peer = Peer({(1, ".", 2): answer})
    async with mailer_for(peer) as mailer:
        await mailer.send(MAIL)
        with pytest.raises(DeliveryUnknownError, match="may have accepted it"):
            await mailer.send(MAIL)

    assert (peer.connections, peer.count("DATA")) == (1, 2)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("close", TransientError),
        ("what?", TransientError),
        ("421 4.3.2 shutting down", OutOfServiceError),
        ("451 4.7.1 greylisted", TransientError),
    ],
)
async def test_before_any_content_the_server_has_no_mail_and_nothing_is_in_doubt(
    answer: str, error: type[HandlerError]
) -> None:
    peer = Peer({(1, "DATA", 1): answer})
    recorded: list[str] = []

    async def record() -> None:
        recorded.append("may be on its way")

    async with mailer_for(peer) as mailer:
        with pytest.raises(error):
            await mailer.send(MAIL, before_content=record)

    assert recorded == []


@pytest.mark.parametrize("length", [100, 3_000_000])
async def test_a_connection_that_breaks_amid_the_content_leaves_nothing_in_doubt(length: int) -> None:
    peer = Peer()

    async def record() -> None:
        # The server is gone by the time that the content is sent.
        peer.writers[-1].transport.abort()
        await peer.gone.wait()

    long = OutgoingMail("ada@example.com", "Hi", "word " * (length // 5), None, "task-1.email")
    async with mailer_for(peer) as mailer:
        with pytest.raises(TransientError, match="did not accept the content of the mail"):
            await mailer.send(long, before_content=record)

    assert peer.contents == []


async def test_a_server_that_stops_reading_amid_the_content_does_not_have_the_mail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    peer = Peer()

    async def record() -> None:
        peer.writers[-1].transport.pause_reading()  # type: ignore[attr-defined] # a socket's transport can
        peer.asked.set()

    long = OutgoingMail("ada@example.com", "Hi", "word " * 4_000_000, None, "task-1.email")
    async with mailer_for(peer) as mailer:
        sending = asyncio.create_task(mailer.send(long, before_content=record))
        await peer.asked.wait()
        await hurry(sending, monkeypatch)
        # A peer that reads nothing would never see the end of the connection.
        peer.writers[-1].transport.abort()
        with pytest.raises(TransientError, match="Timed out while the content was sent"):
            await sending

    assert peer.contents == []


@given(st.lists(st.sampled_from([b".", b"..", b"a", b"", b" .", b"\xff"]), min_size=1, max_size=8))
def test_no_line_of_the_content_is_its_end_and_each_can_be_read_back(lines: list[bytes]) -> None:
    sent = stuffed(b"".join(line + b"\r\n" for line in lines)).split(b"\r\n")

    assert sent.pop() == b""
    assert b"." not in sent
    assert [line.removeprefix(b".") for line in sent] == lines


async def test_each_line_arrives_as_it_was_sent() -> None:
    peer = Peer()
    async with mailer_for(peer) as mailer:
        await mailer.send(OutgoingMail("ada@example.com", "Hi", ".\n..\na", None, "task-1.email"))

    assert peer.contents[0].endswith(b"\r\n\r\n..\r\n...\r\na\r\n.\r\n")


async def test_the_record_is_made_when_the_server_is_ready_and_before_it_gets_any_content() -> None:
    peer = Peer()
    said: list[str] = []

    async def record() -> None:
        said.extend(command for _, command in peer.commands)

    async with mailer_for(peer) as mailer:
        await mailer.send(MAIL, before_content=record)

    assert said[-1] == "DATA"
    assert len(peer.contents) == 1


async def test_no_content_is_sent_without_the_record() -> None:
    peer = Peer()

    async def refuse() -> None:
        raise RuntimeError("the lease is lost")

    async with mailer_for(peer) as mailer:
        with pytest.raises(RuntimeError, match="the lease is lost"):
            await mailer.send(MAIL, before_content=refuse)
        await mailer.send(MAIL)

    assert (peer.count("DATA"), len(peer.contents)) == (2, 1)
