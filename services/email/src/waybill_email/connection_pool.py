"""A pool of open SMTP connections."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from aiosmtplib import SMTP, SMTPException

#: A connection that was idle for longer is checked (NOOP) before use: firewalls drop idle connections
#: silently, and servers close them after 5 minutes (RFC 5321, 4.5.3.2.7) or sooner.
IDLE_SECONDS_BEFORE_CHECK = 30.0
#: For NOOP, RSET and QUIT, which decide only whether a connection is kept.
HOUSEKEEPING_SECONDS = 5.0


@dataclass(slots=True)
class Lease:
    """The right to use a connection, which is kept afterwards only if the user marks it as reusable."""

    smtp: SMTP
    #: It has sent a mail before, so the server may have closed it since.
    reused: bool
    reusable: bool = False


class ConnectionPool:
    """At most `size` connections, opened on demand; the last used one is reused first.

    Args:
        size: mails that may be sent at once; the next one waits.
        connect: returns a connected client; its exceptions are passed on by `lease`.
    """

    def __init__(self, size: int, connect: Callable[[], Awaitable[SMTP]]) -> None:
        if size < 1:
            raise ValueError(f"a pool needs at least one connection, got {size}")
        self._free = asyncio.Semaphore(size)
        self._connect = connect
        self._idle: list[tuple[SMTP, float]] = []
        self._closed = False

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait until another mail may be sent, and hold its slot.

        Raises:
            RuntimeError: the pool is closed.
        """
        async with self._free:
            if self._closed:
                raise RuntimeError("the mailer is closed: no mail can be sent any more")
            yield

    @contextlib.asynccontextmanager
    async def lease(self, *, fresh: bool = False) -> AsyncIterator[Lease]:
        """Lend a connected client to a caller that holds a slot.

        Args:
            fresh: open a new connection and close the idle ones, as one of them was found dead.
        """
        lease = await self._take(fresh=fresh)
        try:
            yield lease
        finally:
            # Otherwise an error or cancellation during a mail has left the dialogue in an unknown state.
            if (
                lease.reusable
                and lease.smtp.is_connected
                and not (self._closed or _has_unread_data(lease.smtp))
            ):
                self._idle.append((lease.smtp, time.monotonic()))
            else:
                lease.smtp.close()

    async def close(self) -> None:
        """Close the idle connections with QUIT; those in use are closed when their mail is finished."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*(_quit(smtp) for smtp, _ in idle))

    async def _take(self, *, fresh: bool) -> Lease:
        while self._idle:
            smtp, idle_since = self._idle.pop()
            if fresh:
                smtp.close()
                continue
            if await self._is_alive(smtp, idle_since):
                return Lease(smtp, reused=True)
        return Lease(await self._connect(), reused=False)

    async def _is_alive(self, smtp: SMTP, idle_since: float) -> bool:
        if not smtp.is_connected:
            return False
        if time.monotonic() - idle_since < IDLE_SECONDS_BEFORE_CHECK:
            return True
        alive = False
        try:
            await smtp.noop(timeout=HOUSEKEEPING_SECONDS)
            alive = True
        except (SMTPException, OSError):
            # This connection is dead; the next one is tried.
            return False
        finally:
            if not alive:
                smtp.close()
        return True


def _has_unread_data(smtp: SMTP) -> bool:
    # Only the order assigns answers to commands: an extra one would be taken as the answer to the next mail.
    buffer: bytearray | None = getattr(smtp.protocol, "_buffer", None)
    return bool(buffer)


async def _quit(smtp: SMTP) -> None:
    # QUIT is a courtesy (RFC 5321, 4.1.1.10): if the server is gone, nothing is lost.
    with contextlib.suppress(SMTPException, OSError):
        await smtp.quit(timeout=HOUSEKEEPING_SECONDS)
    smtp.close()
