"""The load generator: posts over kept-alive connections, and counts what is accepted and what fails.

Its own few lines of HTTP/1.1, because a general client costs more than the gateways that it measures.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, cast

from bench.kit.payload import ROUTE, body
from bench.kit.stamps import Stamps

#: A gateway answers within milliseconds; one that is silent for so long has failed.
ANSWER_SECONDS = 30.0
#: At half load: requests under way at once, far more than a healthy gateway lets pile up.
MOST_UNDER_WAY = 256


@dataclass(frozen=True, slots=True)
class Target:
    """Where tasks are posted."""

    route: str
    #: The body of a task, by its number.
    body: Callable[[int], bytes]


#: The task that every system is given.
RECORDS: Final = Target(ROUTE, body)


@dataclass(slots=True)
class Posted:
    """What came of many posts."""

    #: Number of each accepted task, and the answer's body.
    accepted: dict[int, bytes] = field(default_factory=dict)
    #: Seconds that the answers of the accepted ones took.
    waits: list[float] = field(default_factory=list)
    #: What was answered instead, or what went wrong.
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def ids(self) -> dict[str, int]:
        """The id that each accepted task was given, and its number."""
        return {json.loads(answer)["id"]: number for number, answer in self.accepted.items()}


class _Connection(asyncio.Protocol):
    """One kept-alive connection, one request at a time."""

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own kind

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, content = self._received.partition(b"\r\n\r\n")
        if not separator or len(content) < _content_length(head) or self._answer is None:
            return
        self._received = b""
        self._answer.set_result((int(head[9:12]), content))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("closed"))

    @property
    def is_open(self) -> bool:
        """Whether something can be posted: a server closes connections that rest for long."""
        return self._transport is not None and not self._transport.is_closing()

    async def post(self, content: bytes) -> tuple[int, bytes]:
        """Posts, and returns the status and body of the answer."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("closed")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(b"%s%d\r\n\r\n%s" % (self._head, len(content), content))
        return await asyncio.wait_for(self._answer, ANSWER_SECONDS)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Load:
    """A client of one gateway."""

    def __init__(self, port: int, stamps: Stamps, numbers: Iterator[int], target: Target = RECORDS) -> None:
        """A client.

        Args:
            port: of the gateway, on loopback.
            stamps: notes when each task is sent.
            numbers: gives each task its own.
            target: the route, and what is posted.
        """
        self._port = port
        self._stamps = stamps
        self._numbers = numbers
        self._body = target.body
        self._head = (
            f"POST {target.route} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()

    async def closed(self, connections: int, seconds: float) -> Posted:
        """Posts as fast as the gateway answers, with `connections` requests under way, for `seconds`."""
        posted = Posted()
        open_ones = await self._open(connections)
        started = time.monotonic()

        async def post_on(connection: _Connection) -> _Connection:
            while time.monotonic() - started < seconds and not posted.failures:
                connection = await self._post(connection, posted)
            return connection

        still_open = await asyncio.gather(*map(post_on, open_ones))
        posted.seconds = time.monotonic() - started
        return _closed(still_open, posted)

    async def steady(self, rate: float, seconds: float, *, most_under_way: int = MOST_UNDER_WAY) -> Posted:
        """Posts `rate` tasks a second for `seconds`, at least one, whether others are answered or not.

        It opens no more connections than it needs: for a few tasks they would cost more than the tasks.
        """
        posted = Posted()
        # In turn: a server closes what rests, and may be about to when we post.
        idle, under_way = deque[_Connection](), 0
        started = time.monotonic()

        async def post_once() -> None:
            nonlocal under_way
            under_way += 1
            connection = idle.popleft() if idle else _Connection(self._head)
            idle.append(await self._post(connection, posted))
            under_way -= 1

        async with asyncio.TaskGroup() as posting:
            for position in range(max(1, int(rate * seconds))):
                await asyncio.sleep(max(0.0, started + position / rate - time.monotonic()))
                if under_way >= most_under_way:
                    posted.failures.append(f"{most_under_way} requests are under way: it does not keep up")
                    break
                posting.create_task(post_once())
        posted.seconds = time.monotonic() - started
        return _closed(idle, posted)

    async def _open(self, count: int) -> list[_Connection]:
        return [await self._connect() for _ in range(count)]

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(lambda: _Connection(self._head), "127.0.0.1", self._port))[1]

    async def _post(self, connection: _Connection, posted: Posted) -> _Connection:
        """Posts the next task on `connection`, or on a new one if it is closed; returns which it was."""
        number = next(self._numbers)
        content = self._body(number)
        self._stamps.send(number)
        try:
            if not connection.is_open:
                connection = await self._connect()
            posted_at = time.perf_counter()
            status, answer = await connection.post(content)
            took = time.perf_counter() - posted_at
        except (OSError, TimeoutError) as error:
            posted.failures.append(repr(error))
            return connection
        if status == HTTPStatus.ACCEPTED:
            posted.accepted[number] = answer
            posted.waits.append(took)
        else:
            posted.failures.append(f"{status}: {answer[:200].decode(errors='replace')}")
        return connection


def _closed(connections: Iterable[_Connection], posted: Posted) -> Posted:
    for connection in connections:
        connection.close()
    return posted


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ValueError("an answer without Content-Length")
