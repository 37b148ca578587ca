"""Open SMTP connections, kept for the next mail."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from aiosmtplib import SMTP, SMTPException

#: Idle for longer than this, a connection is asked (NOOP) before it is trusted: firewalls drop silent ones
#: unseen, and servers close them after 5 minutes (RFC 5321, 4.5.3.2.7) or sooner.
IDLE_SECONDS_BEFORE_CHECK = 30.0
#: Small talk (NOOP, RSET, QUIT) decides only whether a connection is kept, so it is not waited for long.
HOUSEKEEPING_SECONDS = 5.0


@dataclass(slots=True)
class Lease:
    """The right to use a connection; kept afterwards only if its user says that it is between two mails."""

    smtp: SMTP
    #: It has carried a mail before, so the server may have closed it in the meantime.
    reused: bool
    reusable: bool = False


class ConnectionPool:
    """At most `size` connections at once, made on demand; the one that was used last is reused first.

    Args:
        size: how many mails may be on the wire at once; the next one waits for its turn.
        connect: makes a connected client; its errors go to the caller that wanted the lease.
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
        """Wait until there is room for another mail, and keep it.

        Raises:
            RuntimeError: the pool is closed.
        """
        async with self._free:
            if self._closed:
                raise RuntimeError("the mailer is closed: no mail can be sent any more")
            yield

    @contextlib.asynccontextmanager
    async def lease(self, *, fresh: bool = False) -> AsyncIterator[Lease]:
        """Lend a connected client to one that has its turn.

        Args:
            fresh: make a new connection and drop the idle ones: one was found dead, so all are suspect.
        """
        lease = await self._take(fresh=fresh)
        try:
            yield lease
        finally:
            # Else an error or a cancellation amid a mail has left the dialogue in an unknown state.
            if (
                lease.reusable
                and lease.smtp.is_connected
                and not (self._closed or _has_unread_data(lease.smtp))
            ):
                self._idle.append((lease.smtp, time.monotonic()))
            else:
                lease.smtp.close()

    async def close(self) -> None:
        """Say goodbye on the idle connections; those in use are closed when their mail is through."""
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
            # The answer that was asked for: this connection is gone, and the next one is tried.
            return False
        finally:
            if not alive:
                smtp.close()
        return True


def _has_unread_data(smtp: SMTP) -> bool:
    # Answers are told apart by their order alone: one too many would be taken for that to the next mail.
    buffer: bytearray | None = getattr(smtp.protocol, "_buffer", None)
    return bool(buffer)


async def _quit(smtp: SMTP) -> None:
    # QUIT is a courtesy (RFC 5321, 4.1.1.10): a server that is gone already has lost nothing.
    with contextlib.suppress(SMTPException, OSError):
        await smtp.quit(timeout=HOUSEKEEPING_SECONDS)
    smtp.close()
