"""Endless answers of Server-Sent Events.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from http import HTTPStatus
from typing import Final

from fastapi import Request, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from waybill_gateway.following import unless_gone
from waybill_gateway.http import GatewayMetrics
from waybill_worker.observe import get_logger

log = get_logger(__name__)

#: Seconds after which a comment is sent, so that nobody on the way takes the connection for a dead one.
HEARTBEAT_SECONDS: Final = 15.0
#: Seconds for which one part may wait for a caller that does not read.
SEND_SECONDS: Final = 20.0
#: Milliseconds after which a browser comes back for the rest.
RETRY_MILLISECONDS: Final = 1000
#: No proxy may keep or gather it.
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def block(data: str | None = None, *, id_: str | None = None, event: str | None = None) -> bytes:
    """One event; without data only its id counts, and without an id it is a comment.

    Args:
        data: one line.
        id_: from which a caller goes on that was interrupted.
        event: its name, if it is not one of many.
    """
    lines = [
        *([] if event is None else [f"event: {event}"]),
        *([] if id_ is None else [f"id: {id_}"]),
        ":" if data is None else f"data: {data}",
    ]
    return ("\n".join(lines) + "\n\n").encode()


class EventStream(Response):
    """An answer that goes on until its events end, or its caller leaves or reads too slowly.

    Args:
        events: blocks of events.
        held: is closed with it.
        metrics: are counted.
        status_code: of the answer.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[bytes],
        held: ExitStack,
        metrics: GatewayMetrics,
        # FastAPI reads the default, to describe the answer.
        status_code: int = HTTPStatus.OK,
    ) -> None:
        super().__init__(status_code=status_code, headers=_HEADERS)
        # It has no length, which the base class has written.
        del self.headers["content-length"]
        self._events, self._held, self._metrics = events, held, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the events; the connection is cut off if one cannot be sent in time."""
        with self._held:
            head = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            await send(head)
            try:
                await unless_gone(Request(scope, receive), self._send_all(send))
            except ClientDisconnect:
                return
            except TimeoutError:
                # An answer that is not complete: the server closes its connection.
                self._metrics.cut()
            except SQLAlchemyError as error:
                # Likewise; its caller comes back for the rest.
                log.warning("a stream has ended without the ledger", error=error, once_a_minute=True)

    async def _send_all(self, send: Send) -> None:
        async with aclosing(self._events) as events:
            async for each in events:
                await self._send(send, each, more=True)
        await self._send(send, b"", more=False)

    async def _send(self, send: Send, body: bytes, *, more: bool) -> None:
        async with asyncio.timeout(SEND_SECONDS):
            await send({"type": "http.response.body", "body": body, "more_body": more})
