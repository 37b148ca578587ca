"""The limit of request bodies: compressed and too large ones are refused before they fill memory or disk."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from waybill_gateway.http.problems import Problem

#: What multipart framing and the other form fields may add to a file.
FORM_OVERHEAD_BYTES = 64 * 1024
#: Bytes of a refused body that are still read, and seconds for it.
DRAIN_BYTES, DRAIN_SECONDS = 256 * 1024 * 1024, 10.0

#: The place in a request's scope of the limit of its caller.
_LIMIT: Final = "waybill.max_body_bytes"


@dataclass(frozen=True, slots=True)
class Upload:
    """A path that takes files: the size of the largest, and whether it comes in a form."""

    max_bytes: int
    is_form: bool = False


class BodyLimit:
    """ASGI middleware: at most `max_body_bytes`, and for paths of uploads the size of a file.

    A key may have a smaller limit for all (`limit_body`).
    """

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, uploads: Mapping[str, Upload]) -> None:
        self._app = app
        self._any = Upload(max_body_bytes)
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, and counts the bytes that are read of its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        upload = self._uploads.get(scope["path"], self._any)
        counted = limited_receive(scope, receive, upload.max_bytes, is_form=upload.is_form)
        await self._app(scope, counted, send)


def limited_receive(scope: Scope, receive: Receive, max_bytes: int, *, is_form: bool = False) -> Receive:
    """`receive`, which counts the bytes of the body, and refuses one that is too large or compressed.

    Args:
        scope: of the request; has the limit of its caller by the time its body is read.
        receive: of the request.
        max_bytes: limit for all callers.
        is_form: whether a form is around the file that is limited.
    """
    received = 0

    async def counted() -> Message:
        nonlocal received
        stated = min(max_bytes, scope.get(_LIMIT) or max_bytes)
        limit = stated + FORM_OVERHEAD_BYTES if is_form else stated
        if received == 0:
            headers = dict(scope["headers"])
            if (refusal := _objection(headers, limit, stated)) is not None:
                # A caller that waits for 100 Continue has sent nothing yet.
                if headers.get(b"expect", b"").lower() != b"100-continue":
                    await _drain(receive)
                raise refusal
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
        if received > limit:
            await _drain(receive)
            raise too_large(stated)
        return message

    return counted


def limit_body(scope: Scope, max_body_bytes: int | None) -> None:
    """Limits the body of one request further; None leaves the gateway's own limit."""
    scope[_LIMIT] = max_body_bytes


async def _drain(receive: Receive) -> None:
    """Reads the rest of a refused body, within bounds.

    Most clients read the answer only after they have sent everything; if the connection is closed before,
    they see a broken connection instead of the reason.
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


def _objection(headers: Mapping[bytes, bytes], limit: int, stated: int) -> Problem | None:
    """The refusal that follows from the headers alone; None if there is none."""
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > limit:
        return too_large(stated)
    if b"content-encoding" in headers:
        return Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "encoded_body",
            "Send the body as it is, not compressed and without Content-Encoding.",
            headers={"Accept-Encoding": "identity", "Connection": "close"},
        )
    return None
