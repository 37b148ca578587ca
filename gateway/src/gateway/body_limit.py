"""Refuses a request body as soon as it is too large, before it fills memory or disk."""

from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.problems import Problem

#: What multipart framing and the other form fields may add to a file.
FORM_OVERHEAD_BYTES = 64 * 1024


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
        received = _declared_length(scope) if _declared_length(scope) > limit else 0

        async def counted() -> Message:
            nonlocal received
            if received > limit:
                raise too_large(stated)
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > limit:
                    raise too_large(stated)
            return message

        await self._app(scope, counted, send)


def too_large(limit: int) -> Problem:
    """The answer to a body of more than `limit` bytes."""
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too_large",
        f"The limit is {limit:,} bytes. Send less, or have the limit raised.",
        # What is left of the body stays unread, so this connection cannot be used again.
        headers={"Connection": "close"},
    )


def _declared_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
