"""Callers that leave while they wait."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

Result = TypeVar("Result")


async def unless_gone(request: Request, answer: Coroutine[Any, Any, Result]) -> Result:
    """The answer to a caller that waits for it; it is not made any further once the caller has left.

    Args:
        request: of the caller; its body is not needed any more.
        answer: makes the answer.

    Raises:
        ClientDisconnect: the caller has left.
    """
    answering = asyncio.create_task(answer)
    leaving = asyncio.create_task(_left(request))
    try:
        await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            return answering.result()
        raise ClientDisconnect
    finally:
        answering.cancel()
        leaving.cancel()
        await asyncio.gather(answering, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
