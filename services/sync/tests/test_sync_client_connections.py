"""Nothing of one attempt reaches another: neither bytes, nor cookies, nor the place that it held."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest
from http_peer import Peer, answer, base_url_of, client_for, put

from waybill_sync.client import SyncAnswer, SyncClient
from waybill_testkit.eventually import eventually
from waybill_worker.attempt.circuit import CircuitPolicy
from waybill_worker.errors import ServerFailureError, SnoozeError, UnansweredError, UnreachableError

WRITTEN, REFUSED = answer(200, b"written"), answer(500, b"refused")
#: More failures than any of these tests has: the circuit stays closed.
NO_CIRCUIT = CircuitPolicy(threshold=10**6)


async def test_an_answer_given_twice_is_not_the_answer_to_the_next_record() -> None:
    async with client_for(Peer(WRITTEN + WRITTEN, REFUSED)) as client:
        assert await put(client, "1") == SyncAnswer(200, None)
        with pytest.raises(ServerFailureError, match="answered 500: refused"):
            await put(client, "2")


async def test_nor_is_one_that_comes_when_the_next_record_is_on_its_way() -> None:
    requests = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        late = b""
        while await reader.readuntil(b"\r\n\r\n") and await reader.readexactly(len(b'{"name":"Ada"}')):
            requests += 1
            writer.write(late + (WRITTEN if requests == 1 else REFUSED))
            late = WRITTEN

    async with base_url_of(serve) as url:
        client = SyncClient({"crm": url})
        assert await put(client, "1") == SyncAnswer(200, None)
        with pytest.raises(ServerFailureError, match="answered 500: refused"):
            await put(client, "2")


@pytest.mark.parametrize(
    "strange",
    [
        b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 X\r\n\r\n" + answer(204),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nand more",
    ],
)
async def test_bytes_that_belong_to_no_answer_cost_no_other_record_an_attempt(strange: bytes) -> None:
    async with client_for(Peer(strange)) as client:
        assert {(await put(client, f"{number}")).status for number in range(4)} <= {200, 204}


async def test_informational_answers_without_end_are_given_up_in_time() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while True:
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with base_url_of(serve) as url:
        client = SyncClient({"crm": url}, timeout_seconds=0.2)
        with pytest.raises(UnansweredError, match=r"no complete answer within 0\.2 s"):
            await put(client)


@pytest.mark.parametrize("status", [200, 401, 500])
async def test_cookies_of_one_answer_go_along_with_no_other_record(status: int) -> None:
    peer = Peer(answer(status, Set_Cookie="session=of-ann; Path=/", WWW_Authenticate='Digest realm="x"'))
    async with client_for(peer) as client:
        for target in ("crm", "erp", "crm"):
            with contextlib.suppress(Exception):
                await put(client, target=target)

    assert len(peer.requests) == 3
    for _, headers, _ in peer.requests:
        assert not headers.keys() & {"cookie", "authorization", "referer"}


async def test_each_record_has_a_connection_which_ends_with_it() -> None:
    peer = Peer(answer(204))
    async with client_for(peer) as client:
        for _ in range(3):
            await put(client)

    assert peer.connections == 3
    assert {headers["connection"] for _, headers, _ in peer.requests} == {"close"}


@pytest.fixture
def backlogged() -> Iterator[int]:
    """The port of a listener that takes no more connections: whoever connects waits until he gives up."""
    with contextlib.ExitStack() as opened:
        listener = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port: int = listener.getsockname()[1]
        for _ in range(4):
            waiting = opened.enter_context(socket.socket())
            waiting.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(("127.0.0.1", port))
        yield port


async def test_after_300_calls_that_never_connected_every_target_can_be_used(backlogged: int) -> None:
    async with base_url_of(Peer(answer(204)).serve) as healthy:
        targets = {"dead": f"http://127.0.0.1:{backlogged}", "crm": healthy}
        # Of all calls alike: so long that the 100 below are not late on a busy machine.
        client = SyncClient(targets, timeout_seconds=4, max_connections=50, circuit=NO_CIRCUIT)

        calls = [asyncio.create_task(put(client, f"{number}", "dead")) for number in range(300)]
        beside = await put(client)
        failed = await asyncio.gather(*calls, return_exceptions=True)
        after = await asyncio.gather(*(put(client, f"{number}") for number in range(100)))

    assert beside == SyncAnswer(204, None), "while the other target has all of its connections in use"
    assert after == [SyncAnswer(204, None)] * 100
    assert {type(error) for error in failed} == {UnreachableError, SnoozeError}, "nothing was sent"


async def test_no_more_connections_are_made_at_once_than_are_allowed_and_cancelled_calls_free_theirs() -> (
    None
):
    three_are_here, answering = asyncio.Event(), asyncio.Event()
    under_way: list[int] = []
    now = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal now
        now += 1
        under_way.append(now)
        if now == 3:
            three_are_here.set()
        try:
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(b'{"name":"Ada"}'))
            if not answering.is_set():
                await reader.read()  # until the client hangs up
            writer.write(answer(204))
        finally:
            now -= 1

    async with base_url_of(serve) as url:
        client = SyncClient({"crm": url}, max_connections=3)
        cancelled = [asyncio.create_task(put(client)) for _ in range(7)]
        await three_are_here.wait()
        for call in cancelled:
            call.cancel()
        await asyncio.gather(*cancelled, return_exceptions=True)
        await eventually(lambda: now == 0)
        assert len(under_way) == 3
        answering.set()
        assert await asyncio.gather(*(put(client) for _ in range(20))) == [SyncAnswer(204, None)] * 20

    # A client that has its answer goes on, maybe a moment before the server has counted that.
    assert max(under_way) <= 6


async def test_a_call_that_finds_no_connection_free_is_put_off_and_nothing_is_sent() -> None:
    peer_has_it = asyncio.Event()
    requests = 0

    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await reader.readuntil(b"\r\n\r\n")
        requests += 1
        peer_has_it.set()
        await reader.read()

    async with base_url_of(serve) as url:
        client = SyncClient({"crm": url}, timeout_seconds=0.3, max_connections=1)
        holding = asyncio.create_task(put(client, "1"))
        await peer_has_it.wait()
        waiting = [put(client, f"{number}") for number in range(5)]
        waited = await asyncio.gather(*waiting, return_exceptions=True)
        with pytest.raises(UnansweredError):
            await holding

    # The first call may end a moment before their wait does, so that one of them has its connection.
    put_off = [type(error) for error in waited].count(SnoozeError)
    assert put_off >= 4
    assert "all 1 connections to target 'crm' are in use" in {str(error) for error in waited}
    assert requests == 1 + 5 - put_off
