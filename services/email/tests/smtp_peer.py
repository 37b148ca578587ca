"""A scripted mail server, and a mailer that talks to it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from waybill_email.mail import OutgoingMail
from waybill_email.mailer import Mailer

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
        self.contents: list[bytes] = []
        self.port = 0
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
                try:
                    self.contents.append(await reader.readuntil(b"\r\n.\r\n"))
                except asyncio.IncompleteReadError:
                    return
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
    peer.port = server.sockets[0].getsockname()[1]
    mailer = Mailer("127.0.0.1", peer.port, **{**ACCOUNT, **options})
    try:
        yield mailer
    finally:
        await mailer.close()
        server.close()
        await server.wait_closed()
        for writer in peer.writers:
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def hurry(waiting: asyncio.Task[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the event loop's clock leap ahead until the task is done: no time-out is really waited for."""
    loop = asyncio.get_running_loop()
    while not waiting.done():
        monkeypatch.setattr(loop, "time", partial(float, loop.time() + 60))
        await asyncio.sleep(0)
    monkeypatch.undo()
