"""The other side of the client's tests: an HTTP server on loopback that says what it is told to say."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from waybill_sync.client import SyncAnswer, SyncClient
from waybill_testkit.listening import listening


class Peer:
    """Answers requests with the bytes in `answers`, one after the other; the last one for ever."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            await self._answer_one(reader, writer)

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.requests.append((head[0], headers, body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        writer.write(answer)
        await writer.drain()


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextlib.asynccontextmanager
async def base_url_of(serve: Callable[..., Awaitable[None]]) -> AsyncIterator[str]:
    """Where `serve` serves each connection until either side has gone; all have ended when it is left."""
    serving: set[asyncio.Task[None] | None] = set()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await serve(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async with listening(serve_one) as port:
        yield f"http://127.0.0.1:{port}/api"
        await asyncio.wait_for(asyncio.gather(*filter(None, serving)), 10)


@contextlib.asynccontextmanager
async def client_for(peer: Peer, **options: Any) -> AsyncIterator[SyncClient]:
    async with base_url_of(peer.serve) as base:
        yield SyncClient({"crm": base, "erp": base}, **options)


async def put(
    client: SyncClient, record_id: str = "7", target: str = "crm", data: Mapping[str, Any] | None = None
) -> SyncAnswer:
    return await client.put(target, "users", record_id, data or {"name": "Ada"}, "task-1.sync")
