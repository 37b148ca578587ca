"""Receiving a file as the body of a request."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import BinaryIO, Final

from fastapi import Request

from waybill_gateway.http import Problem
from waybill_worker.observe import get_logger

log = get_logger(__name__)

#: Bytes that are hashed and written at once, in a thread.
PIECE_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file that was received completely; it is deleted at the end of the block."""

    #: Open for reading, at the first byte.
    file: BinaryIO
    sha256: str
    size_bytes: int


@asynccontextmanager
async def receiving(request: Request) -> AsyncIterator[ReceivedFile]:
    """Receives the body of a request into a temporary file, and hashes it on the way.

    Raises:
        Problem: 413, the body is too large; 503, there is no room for it.
    """
    with tempfile.TemporaryFile() as file:
        try:
            sha256, size = await _received(request, file)
        except OSError as error:
            log.error("no room for an upload", error=error)  # noqa: TRY400 - a traceback would add nothing
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "no_room",
                "There is no room for this upload now. Repeat the call in a moment.",
                headers={"Retry-After": "10"},
            ) from error
        file.seek(0)
        yield ReceivedFile(file, sha256, size)


async def _received(request: Request, file: BinaryIO) -> tuple[str, int]:
    digest, size, piece = hashlib.sha256(), 0, bytearray()

    def take() -> None:
        digest.update(piece)
        file.write(piece)

    async for chunk in request.stream():
        piece += chunk
        size += len(chunk)
        if len(piece) >= PIECE_BYTES:
            await asyncio.to_thread(take)
            piece.clear()
    await asyncio.to_thread(take)
    await asyncio.to_thread(file.flush)
    return digest.hexdigest(), size
