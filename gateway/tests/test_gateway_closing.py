"""A connection that is closed ends, whether or not anybody reads what is left."""

import asyncio
import socket
from functools import partial

import pytest
import uvloop
from prometheus_client import CollectorRegistry
from starlette.types import Receive, Scope, Send

from waybill_gateway.http.metrics import GatewayMetrics
from waybill_gateway.http.protocol import HttpLimits, LimitedProtocol
from waybill_testkit.eventually import eventually
from waybill_worker.runtime.http_server import HttpServer

#: Below the 64 KiB from which on a transport asks for patience, and beyond what the kernel takes here.
ANSWER = b"a" * 40_000
SMALL = 4096
UNREAD_SECONDS = 0.5


async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
    length = str(len(ANSWER)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": ANSWER})


def small(made: socket.socket) -> socket.socket:
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    return made


@pytest.mark.parametrize("by", ["the answer", "the caller"])
def test_an_end_that_nobody_reads_is_not_waited_for(by: str) -> None:
    refused: list[float] = []

    class Metrics(GatewayMetrics):
        def refused(self, reason: str) -> None:
            assert reason == "unread"
            refused.append(asyncio.get_running_loop().time())

    async def scenario() -> None:
        listener = small(socket.create_server(("127.0.0.1", 0)))
        limits = HttpLimits(10, 8192, 60, 60, UNREAD_SECONDS)
        http = partial(LimitedProtocol, limits=limits, metrics=Metrics(CollectorRegistry()))
        server = HttpServer(
            answer,
            host="",
            port=0,
            listener_fd=listener.detach(),
            http=http,
            lifespan="off",
            timeout_keep_alive=600,
            timeout_graceful_shutdown=1,
        )
        port = await server.start()
        try:
            with small(socket.socket()) as caller:
                caller.connect(("127.0.0.1", port))
                began = asyncio.get_running_loop().time()
                last = b"Connection: close\r\n" if by == "the answer" else b""
                caller.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + last + b"\r\n")
                if by == "the caller":
                    caller.settimeout(0)
                    await asyncio.get_running_loop().sock_recv(caller, 1)  # it has been answered
                    caller.shutdown(socket.SHUT_WR)
                await eventually(lambda: refused, 10)
                # By the clock that the timer goes by, which counts milliseconds.
                assert round(refused[0] - began, 3) >= UNREAD_SECONDS
        finally:
            await server.stop()

    uvloop.run(scenario())


def test_a_closed_connection_that_is_read_ends_whole() -> None:
    async def scenario() -> None:
        metrics = GatewayMetrics(CollectorRegistry())
        http = partial(LimitedProtocol, limits=HttpLimits(10, 8192, 60, 60, 60), metrics=metrics)
        server = HttpServer(answer, host="127.0.0.1", port=0, listener_fd=None, http=http, lifespan="off")
        port = await server.start()
        with small(socket.socket()) as caller:
            caller.connect(("127.0.0.1", port))
            caller.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            caller.settimeout(0)
            came = b""
            while chunk := await asyncio.get_running_loop().sock_recv(caller, 65_536):
                came += chunk
        assert came.endswith(b"\r\n\r\n" + ANSWER)
        await server.stop()

    uvloop.run(scenario())
