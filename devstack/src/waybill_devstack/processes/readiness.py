"""Readiness checks for `ProcessSpec.ready`."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Final

import httpx

#: Time limit of one attempt; a process that is up answers within milliseconds.
TRY_SECONDS = 5.0
#: Trusts nobody: addresses are of loopback, by HTTP. To read the system's authorities at each try would take
#: the time that the processes need to start.
_NO_AUTHORITIES: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

#: Called with the pid of the process that must become ready.
Check = Callable[[int], Awaitable[bool]]


def http_ok(url: str) -> Check:
    """Ready when GET `url` is answered with a status below 300.

    Not ready if the answer names the `pid` of another process, which may share the listener.
    """

    async def check(pid: int) -> bool:
        try:
            async with httpx.AsyncClient(
                timeout=TRY_SECONDS, trust_env=False, verify=_NO_AUTHORITIES
            ) as client:
                answer = await client.get(url)
                return answer.is_success and _pid_in(answer) in {None, pid}
        except httpx.TransportError:  # not yet listening
            return False

    return check


def tcp_open(host: str, port: int) -> Check:
    """Ready when `port` of `host` takes connections."""

    async def check(_pid: int) -> bool:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:  # not yet listening
            return False
        writer.close()
        await writer.wait_closed()
        return True

    return check


def _pid_in(answer: httpx.Response) -> int | None:
    if not answer.headers.get("content-type", "").startswith("application/json"):
        return None
    content = answer.json()
    return content.get("pid") if isinstance(content, dict) else None
