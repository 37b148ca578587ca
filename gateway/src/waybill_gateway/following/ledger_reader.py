"""One look after the other at the ledger, for all who watch tasks of this gateway."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from waybill_database import READ_ONLY, open_engine
from waybill_ledger.following import Follower, Look
from waybill_worker.runtime import Background

#: Seconds between two looks; while a number is missing that another transaction is about to commit.
LOOK_SECONDS: Final = 0.03
SOON_SECONDS: Final = 0.01
#: Seconds without a watcher after which it stops to look, and closes its connection.
LINGER_SECONDS: Final = 5.0
#: Seconds after a look that failed.
RETRY_SECONDS: Final = 0.5


class LedgerReader(Background):
    """Looks at the ledger while somebody watches, on a connection and a thread of its own.

    Args:
        url: of the ledger.
        answer_seconds: for which a statement may take.
        on_look: gets what each look has found.
    """

    NAME: ClassVar = "reader of what happens"

    def __init__(self, url: str, answer_seconds: float, on_look: Callable[[Look], None]) -> None:
        super().__init__(every_seconds=RETRY_SECONDS)
        self._url = url
        self._answer_seconds = answer_seconds
        self._on_look = on_look
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="follow-ledger")
        self._follower = Follower()
        self._has_begun = False
        self._engine: Engine | None = None
        self._connection: Connection | None = None
        self._watchers = 0
        self._watched = asyncio.Event()
        self._ready = asyncio.Event()
        self._alone_since: float | None = None

    def enter(self) -> None:
        """Counts a watcher: looks begin, or go on."""
        self._watchers += 1
        self._watched.set()

    def leave(self) -> None:
        """Counts a watcher that has left."""
        self._watchers -= 1

    async def ready(self) -> None:
        """Returns once all that is committed from now on, and is not read yet, will be found by looks."""
        await self._ready.wait()

    async def stop(self) -> None:
        """Stops to look."""
        await super().stop()
        await self._rest()
        self._thread.shutdown()

    async def _run_once(self) -> float:
        await self._watched.wait()
        if self._is_idle():
            await self._rest()
            return 0
        look = await self._on_thread(self._look)
        if self._follower.is_ready:
            self._ready.set()
        self._on_look(look)
        if look.is_behind:
            return 0
        return SOON_SECONDS if look.is_waiting else LOOK_SECONDS

    def _is_idle(self) -> bool:
        now = asyncio.get_running_loop().time()
        if self._watchers:
            self._alone_since = None
            return False
        if self._alone_since is None:
            self._alone_since = now
        return now - self._alone_since > LINGER_SECONDS

    async def _rest(self) -> None:
        self._watched.clear()
        self._ready.clear()
        self._alone_since = None
        await self._on_thread(self._close)

    async def _on_thread(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _look(self) -> Look:
        try:
            connection = self._open()
            with connection.begin():
                if not self._has_begun:
                    self._follower.begin(connection)
                    self._has_begun = True
                return self._follower.look(connection)
        except SQLAlchemyError:
            # The next look takes another connection, and goes on where this one was.
            self._disconnect()
            raise

    def _open(self) -> Connection:
        if self._engine is None:
            self._engine = open_engine(self._url, connections=1, answer_seconds=self._answer_seconds)
        if self._connection is None:
            self._connection = self._engine.connect().execution_options(**_options(self._engine))
        return self._connection

    def _close(self) -> None:
        self._disconnect()
        self._has_begun = False

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # It may be in any state.
            connection.invalidate()
            connection.close()
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()


def _options(engine: Engine) -> dict[str, Any]:
    if engine.dialect.name == "sqlite":
        return {READ_ONLY: True}
    # Each statement is a transaction: it needs no BEGIN and COMMIT, which would be as many round trips again.
    return {"isolation_level": "AUTOCOMMIT"}
