"""The mailer's kept connections, against a server that closes, hangs and vanishes at every bad moment."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from chassis.circuit import CircuitPolicy
from chassis.errors import CircuitOpenError, HandlerError, TransientError, UnreachableError
from devstack.eventually import eventually
from email_service.faults import DeliveryUnknownError
from email_service.mail import OutgoingMail
from email_service.mailer import Mailer

ACCOUNT: dict[str, Any] = {"username": None, "password": None, "tls": "none", "sender": "a@waybill.test"}
MAIL = OutgoingMail("ada@example.com", "Hi", "Hello", None, "task-1.email")

#: What a well-behaved server says.
GOOD = {
    "": "220 peer.test",
    "EHLO": "250-peer.test\r\n250 8BITMIME",
    "DATA": "354 go on",
    ".": "250 queued",
    "QUIT": "221 bye",
}


class Peer:
    """A scripted mail server; it says everything that a real one can say, at the wrong time too.

    `script` maps (connection number from 1, command, how often on that connection) to an answer, or to
    `close` (the connection, unanswered) or `hang`. "" is the greeting, "." the content's end.
    """

    def __init__(self, script: dict[tuple[int, str, int], str] | None = None) -> None:
        self.script = script or {}
        self.commands: list[tuple[int, str]] = []
        self.open = 0
        self.most_open = 0
        self.connections = 0
        self.writers: list[asyncio.StreamWriter] = []
        self.asked = asyncio.Event()
        self.gone = asyncio.Event()
        self.greeted = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        self.writers.append(writer)
        self.greeted.set()
        try:
            await self._converse(self.connections, reader, writer)
        finally:
            self.open -= 1
            self.gone.set()
            writer.close()

    async def _converse(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        seen: dict[str, int] = {}
        command = ""
        while True:
            seen[command] = seen.get(command, 0) + 1
            answer = self.script.get((number, command, seen[command]), GOOD.get(command, "250 ok"))
            if answer == "close":
                return
            if answer == "hang":
                self.asked.set()
                await reader.read()
                return
            writer.write(f"{answer}\r\n".encode())
            await writer.drain()
            if command == "QUIT" or answer.startswith("421"):
                return
            if command == "DATA" and answer.startswith("354"):
                await reader.readuntil(b"\r\n.\r\n")
                command = "."
            else:
                line = await reader.readline()
                if not line:
                    return
                command = line[:4].decode().strip().upper()
            self.commands.append((number, command))

    def count(self, command: str) -> int:
        return sum(1 for _, said in self.commands if said == command)


@contextlib.asynccontextmanager
async def mailer_for(peer: Peer, **options: Any) -> AsyncIterator[Mailer]:
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    mailer = Mailer("127.0.0.1", port, **{**ACCOUNT, **options})
    try:
        yield mailer
    finally:
        await mailer.close()
        server.close()
        await server.wait_closed()
        for writer in peer.writers:
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


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
@pytest.mark.parametrize("command", ["MAIL", "RCPT"])
async def test_a_mail_on_a_connection_that_the_server_has_given_up_goes_out_on_a_fresh_one(
    command: str, answer: str
) -> None:
    peer = Peer({(1, command, 2): answer})
    async with mailer_for(peer) as mailer:
        await mailer.send(MAIL)
        await mailer.send(MAIL)

    assert (peer.connections, peer.count(".")) == (2, 2)


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


@pytest.mark.parametrize(("command", "answer"), [("DATA", "close"), (".", "close"), (".", "what?")])
async def test_once_the_content_has_begun_nothing_is_sent_twice(command: str, answer: str) -> None:
    peer = Peer({(1, command, 2): answer})
    async with mailer_for(peer) as mailer:
        await mailer.send(MAIL)
        with pytest.raises(DeliveryUnknownError, match="may have taken it"):
            await mailer.send(MAIL)

    assert (peer.connections, peer.count("DATA")) == (1, 2)


async def test_the_record_is_made_between_the_envelope_and_the_content() -> None:
    peer = Peer()
    said: list[str] = []

    async def record() -> None:
        said.extend(command for _, command in peer.commands)

    async with mailer_for(peer) as mailer:
        await mailer.send(MAIL, before_content=record)

    assert "RCPT" in said
    assert "DATA" not in said


async def test_no_content_is_sent_without_the_record() -> None:
    peer = Peer()

    async def refuse() -> None:
        raise RuntimeError("the lease is lost")

    async with mailer_for(peer) as mailer:
        with pytest.raises(RuntimeError, match="the lease is lost"):
            await mailer.send(MAIL, before_content=refuse)
        await mailer.send(MAIL)

    assert peer.count("DATA") == 1


async def hurry(waiting: asyncio.Task[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the event loop's clock leap ahead until the task is done: no time-out is really waited for."""
    loop = asyncio.get_running_loop()
    while not waiting.done():
        monkeypatch.setattr(loop, "time", partial(float, loop.time() + 60))
        await asyncio.sleep(0)
    monkeypatch.undo()


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

    assert isinstance(failed.value, DeliveryUnknownError) == (command in {"DATA", "."})
    assert peer.connections == 2


@pytest.mark.parametrize("command", ["", "EHLO"])
async def test_a_server_that_refuses_to_talk_refuses_no_mail_for_good(command: str) -> None:
    peer = Peer({(1, command, 1): "554 not to you"})
    async with mailer_for(peer) as mailer:
        with pytest.raises(TransientError, match="554 not to you"):
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
    monkeypatch.setattr("email_service.pool.IDLE_SECONDS_BEFORE_CHECK", 0.0)
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


async def test_a_server_that_refuses_mail_after_mail_is_not_left_alone() -> None:
    peer = Peer({(1, "RCPT", number): "450 mailbox busy" for number in range(1, 6)})
    async with mailer_for(peer, circuit=CircuitPolicy(threshold=2)) as mailer:
        for _ in range(5):
            with pytest.raises(TransientError, match="mailbox busy"):
                await mailer.send(MAIL)
        await mailer.send(MAIL)
