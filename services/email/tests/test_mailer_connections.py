"""The mailer's kept connections, against a server that closes, hangs and vanishes at every bad moment."""

import asyncio

import pytest
from smtp_peer import MAIL, Peer, hurry, mailer_for

from waybill_email.smtp_errors import DeliveryUnknownError
from waybill_testkit.eventually import eventually
from waybill_worker.attempt.circuit import CircuitPolicy
from waybill_worker.errors import (
    CircuitOpenError,
    HandlerError,
    OutOfServiceError,
    TransientError,
    UnreachableError,
)


async def test_one_connection_carries_mail_after_mail() -> None:
    peer = Peer()
    async with mailer_for(peer) as mailer:
        for _ in range(5):
            await mailer.send(MAIL)

    assert (peer.connections, peer.count("."), peer.count("NOOP"), peer.count("QUIT")) == (1, 5, 0, 1)


async def test_no_more_connections_than_agreed() -> None:
    peer = Peer()
    async with mailer_for(peer, connections=3) as mailer:
        await asyncio.gather(*(mailer.send(MAIL) for _ in range(20)))

    assert (peer.most_open, peer.connections, peer.count(".")) == (3, 3, 20)


@pytest.mark.parametrize("answer", ["close", "421 idle for too long"])
@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
async def test_a_mail_on_a_connection_that_the_server_has_given_up_goes_out_on_a_fresh_one(
    command: str, answer: str
) -> None:
    peer = Peer({(1, command, 2): answer})
    async with mailer_for(peer) as mailer:
        await mailer.send(MAIL)
        await mailer.send(MAIL)

    assert (peer.connections, peer.count(".")) == (2, 2)


@pytest.mark.parametrize("extra", ["250 queued again", "550 no such user", "421 closing", "354 go on"])
async def test_an_answer_too_many_is_not_the_answer_to_the_next_mail(extra: str) -> None:
    peer = Peer({(1, ".", 1): f"250 queued\r\n{extra}"})
    async with mailer_for(peer) as mailer:
        for _ in range(3):
            assert (await mailer.send(MAIL)).server_response == "queued"

    assert (peer.connections, peer.count(".")) == (2, 3)


async def test_nor_is_one_that_comes_with_the_next_mails_own() -> None:
    peer = Peer({(1, "MAIL", 2): "250 queued again\r\n250 ok"})
    async with mailer_for(peer) as mailer:
        for _ in range(3):
            assert (await mailer.send(MAIL)).server_response == "queued"

    assert (peer.connections, peer.count(".")) == (2, 3)


async def test_a_connection_seen_to_be_closed_is_not_used_again() -> None:
    peer = Peer()
    async with mailer_for(peer) as mailer:
        await mailer.send(MAIL)
        peer.writers[0].close()
        await peer.gone.wait()
        await mailer.send(MAIL)

    assert (peer.connections, peer.count("MAIL")) == (2, 2)


async def test_the_second_try_is_the_last_one() -> None:
    peer = Peer({(1, "MAIL", 2): "close", (2, "MAIL", 1): "close"})
    async with mailer_for(peer) as mailer:
        await mailer.send(MAIL)
        with pytest.raises(TransientError) as failed:
            await mailer.send(MAIL)

    assert not isinstance(failed.value, DeliveryUnknownError)
    assert peer.connections == 2


@pytest.mark.parametrize("command", ["", "EHLO", "MAIL", "RCPT", "DATA", "."])
async def test_a_server_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    peer = Peer({(1, command, 1): "hang"})
    async with mailer_for(peer) as mailer:
        sending = asyncio.create_task(mailer.send(MAIL))
        await peer.asked.wait()
        await hurry(sending, monkeypatch)
        with pytest.raises(HandlerError, match=r"127\.0\.0\.1:\d+.*[Tt]imed out") as failed:
            await sending
        await mailer.send(MAIL)

    assert isinstance(failed.value, DeliveryUnknownError) == (command == ".")
    assert peer.connections == 2


@pytest.mark.parametrize("command", ["", "EHLO"])
async def test_a_server_that_refuses_to_talk_refuses_no_mail_for_good(command: str) -> None:
    peer = Peer({(1, command, 1): "554 not to you"})
    async with mailer_for(peer) as mailer:
        with pytest.raises(UnreachableError, match="554 not to you"):
            await mailer.send(MAIL)


async def test_a_cancelled_mail_gives_its_place_and_not_its_connection_to_the_next() -> None:
    peer = Peer({(1, "RCPT", 1): "hang"})
    async with mailer_for(peer, connections=1) as mailer:
        sending = asyncio.create_task(mailer.send(MAIL))
        await peer.asked.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await mailer.send(MAIL)

    assert (peer.connections, peer.count(".")) == (2, 1)


@pytest.mark.parametrize(
    ("answer", "connections"), [("250 ok", 1), ("close", 2), ("421 bye", 2), ("500 ?", 2)]
)
async def test_a_connection_long_idle_is_asked_first(
    monkeypatch: pytest.MonkeyPatch, answer: str, connections: int
) -> None:
    monkeypatch.setattr("waybill_email.connection_pool.IDLE_SECONDS_BEFORE_CHECK", 0.0)
    peer = Peer({(1, "NOOP", 1): answer})
    async with mailer_for(peer) as mailer:
        await mailer.send(MAIL)
        await mailer.send(MAIL)

    assert (peer.count("NOOP"), peer.connections, peer.count(".")) == (1, connections, 2)


async def test_a_closed_mailer_sends_nothing_more() -> None:
    peer = Peer()
    async with mailer_for(peer) as mailer:
        await mailer.send(MAIL)
        await mailer.close()
        with pytest.raises(RuntimeError, match="closed"):
            await mailer.send(MAIL)

    assert peer.count("QUIT") == 1


async def test_a_mail_on_the_wire_is_finished_after_close() -> None:
    peer = Peer()
    async with mailer_for(peer) as mailer:
        sending = asyncio.create_task(mailer.send(MAIL))
        await peer.greeted.wait()
        await mailer.close()
        await sending
        await peer.gone.wait()

    assert (peer.count("."), peer.open) == (1, 0)


async def test_a_server_that_cannot_be_reached_is_left_alone_until_its_time_is_over() -> None:
    greetings = {(number, "", 1): "close" for number in range(1, 4)}
    peer = Peer(greetings)
    async with mailer_for(peer, circuit=CircuitPolicy(threshold=3, base_seconds=0.1)) as mailer:
        for _ in range(3):
            with pytest.raises(UnreachableError):
                await mailer.send(MAIL)
        with pytest.raises(CircuitOpenError, match="did not answer lately"):
            await mailer.send(MAIL)

        async def is_sent() -> bool:
            try:
                await mailer.send(MAIL)
            except CircuitOpenError:
                return False
            return True

        await eventually(is_sent)


async def test_a_server_out_of_service_is_left_alone_though_it_can_be_reached() -> None:
    peer = Peer({(1, "RCPT", number): "451 4.3.5 misconfigured" for number in range(1, 4)})
    async with mailer_for(peer, circuit=CircuitPolicy(threshold=3, base_seconds=60)) as mailer:
        for _ in range(3):
            with pytest.raises(OutOfServiceError, match="misconfigured"):
                await mailer.send(MAIL)
        with pytest.raises(CircuitOpenError, match="did not answer lately"):
            await mailer.send(MAIL)

    assert peer.count("MAIL") == 3


async def test_a_server_that_refuses_mail_after_mail_is_not_left_alone() -> None:
    peer = Peer({(1, "RCPT", number): "450 mailbox busy" for number in range(1, 6)})
    async with mailer_for(peer, circuit=CircuitPolicy(threshold=2)) as mailer:
        for _ in range(5):
            with pytest.raises(TransientError, match="mailbox busy"):
                await mailer.send(MAIL)
        await mailer.send(MAIL)
