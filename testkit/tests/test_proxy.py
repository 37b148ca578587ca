import asyncio
from collections.abc import AsyncIterator

import pytest

from waybill_testkit.eventually import eventually
from waybill_testkit.machine.ports import LOOPBACK
from waybill_testkit.proxy import Proxy, proxied


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(100):
            writer.write(data)
    except ConnectionError:
        pass  # cut by the proxy, as the test wants
    finally:
        writer.transport.abort()


@pytest.fixture
async def way() -> AsyncIterator[Proxy]:
    server = await asyncio.start_server(echo, LOOPBACK, 0)
    async with server, proxied(LOOPBACK, server.sockets[0].getsockname()[1]) as proxy:
        yield proxy


async def test_it_passes_stalls_and_cuts(way: Proxy) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, way.port)
    writer.write(b"one")
    assert await reader.readexactly(3) == b"one"
    way.stall()
    writer.write(b"two")
    answer = asyncio.create_task(reader.readexactly(3))
    done, _ = await asyncio.wait({answer}, timeout=0.1)
    assert not done
    way.resume()
    assert await answer == b"two"
    way.cut(refuse=True)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.transport.abort()
    assert way.connections == 1


async def test_waiting_in_vain_tells_the_last_answer() -> None:
    answers = iter(range(10))
    assert await eventually(lambda: next(answers)) == 1
    with pytest.raises(AssertionError, match="the last answer was 0"):
        await eventually(lambda: 0, seconds=0.05)
