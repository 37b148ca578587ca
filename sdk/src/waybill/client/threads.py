"""Work with files in threads: a slow disk must not hold up what else an event loop does."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from typing import TypeVar

import anyio
from anyio.to_thread import run_sync

T = TypeVar("T")


@asynccontextmanager
async def entered(opening: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enters and leaves a context in threads."""
    opened = await run_sync(opening.__enter__)
    try:
        yield opened
    except BaseException as error:
        with anyio.CancelScope(shield=True):
            if not await run_sync(opening.__exit__, type(error), error, error.__traceback__):
                raise
    else:
        with anyio.CancelScope(shield=True):
            await run_sync(opening.__exit__, None, None, None)


async def chunks_of(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Takes each part in a thread."""
    while (chunk := await run_sync(next, chunks, None)) is not None:
        yield chunk
