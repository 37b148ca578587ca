"""What a process may be asked to see whether it is ready: each makes a check for `ProcessSpec.ready`."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx

#: One try; a process that is up answers within milliseconds.
TRY_SECONDS = 5.0

Check = Callable[[], Awaitable[bool]]


def http_ok(url: str) -> Check:
    """Ready when GET `url` is answered with a status below 300."""

    async def check() -> bool:
        try:
            async with httpx.AsyncClient(timeout=TRY_SECONDS) as client:
                return (await client.get(url)).is_success
        except httpx.TransportError:  # not yet listening
            return False

    return check


def tcp_open(host: str, port: int) -> Check:
    """Ready when `port` of `host` takes connections."""

    async def check() -> bool:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:  # not yet listening
            return False
        writer.close()
        await writer.wait_closed()
        return True

    return check
