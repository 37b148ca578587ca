"""Refuses a request body as soon as it is too large, before it fills memory or disk."""

import asyncio
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.problems import Problem

#: What multipart framing and the other form fields may add to a file.
FORM_OVERHEAD_BYTES = 64 * 1024
#: How much of a refused body is still taken in, and for how long.
DRAIN_BYTES, DRAIN_SECONDS = 256 * 1024 * 1024, 10.0


class BodyLimit:
    """ASGI middleware: at most `max_body_bytes`, and for the upload path a file of `max_upload_bytes`."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, upload_path: str, max_upload_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._upload_path = upload_path
        self._max_upload_bytes = max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, counting what is read of its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        uploading = scope["path"] == self._upload_path
        stated = self._max_upload_bytes if uploading else self._max_body_bytes
        limit = stated + FORM_OVERHEAD_BYTES if uploading else stated
        declared, received = _declared_length(scope), 0

        async def counted() -> Message:
            nonlocal received
            message = await receive() if declared <= limit else None
            if message is not None and message["type"] == "http.request":
                received += len(message.get("body", b""))
            if message is None or received > limit:
                await _drain(receive)
                raise too_large(stated)
            return message

        await self._app(scope, counted, send)


async def _drain(receive: Receive) -> None:
    """Takes in the rest of a refused body, within bounds.

    Most clients read the answer only when they have sent everything, and one whose connection is closed
    before that sees a broken connection instead of the reason.
    """
    drained = 0
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while drained < DRAIN_BYTES:
                message = await receive()
                drained += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return


def too_large(limit: int) -> Problem:
    """The answer to a body of more than `limit` bytes."""
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too_large",
        f"The limit is {limit:,} bytes. Send less, or have the limit raised.",
        # The rest of the body may still be on its way, so this connection cannot be used again.
        headers={"Connection": "close"},
    )


def _declared_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
