"""One look after the other at the ledger, for all who watch tasks of this gateway."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from waybill_database import READ_ONLY, open_engine
from waybill_ledger.following import Change, Follower, Look, changes_between
from waybill_worker.runtime import PeriodicTask

Result = TypeVar("Result")

#: Seconds between two looks; while a number is missing that another transaction is about to commit.
LOOK_SECONDS: Final = 0.03
SOON_SECONDS: Final = 0.01
#: Seconds without a watcher after which it stops to look, and closes its connection.
LINGER_SECONDS: Final = 5.0
#: Seconds after a look that failed.
RETRY_SECONDS: Final = 0.5
#: Events of all tasks that one look reads.
MOST_CHANGES: Final = 1000


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look has found, for those who watch."""

    look: Look
    #: Settled events of all tasks, the next ones in order.
    changes: tuple[Change, ...] = ()
    #: Number up to which these are all; None: nobody watches all tasks.
    until: int | None = None


class LedgerReader(PeriodicTask):
    """Looks at the ledger while somebody watches, on a connection and a thread of its own.

    Args:
        url: of the ledger.
        answer_seconds: for which a statement may take.
        on_seen: gets what each look has found.
    """

    NAME: ClassVar = "reader of what happens"

    def __init__(self, url: str, answer_seconds: float, on_seen: Callable[[Seen], None]) -> None:
        super().__init__(every_seconds=RETRY_SECONDS)
        self._url = url
        self._answer_seconds = answer_seconds
        self._on_seen = on_seen
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="follow-ledger")
        self._follower = Follower()
        self._has_begun = False
        self._engine: Engine | None = None
        self._connection: Connection | None = None
        self._watchers = 0
        self._watchers_of_all = 0
        #: Number of the last settled event, as the event loop knows it.
        self._settled = 0
        #: Number up to which all events are known; None: nobody watches all tasks.
        self._known: int | None = None
        self._watched = asyncio.Event()
        self._ready = asyncio.Event()
        self._alone_since: float | None = None

    def enter(self, *, is_of_all: bool) -> None:
        """Counts one who watches: looks begin, or go on."""
        self._watchers += 1
        self._watchers_of_all += is_of_all
        self._watched.set()

    def leave(self, *, is_of_all: bool) -> None:
        """Counts one who has left."""
        self._watchers -= 1
        self._watchers_of_all -= is_of_all
        if not self._watchers_of_all:
            self._known = None

    def follow_all(self) -> int:
        """Has looks read the events of all tasks; returns the number after which they begin."""
        if self._known is None:
            self._known = self._settled
        return self._known

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
        seen = await self._on_thread(self._look)
        self._settled = seen.look.settled
        if self._follower.is_ready:
            self._ready.set()
        if self._known is not None and seen.until is not None:
            self._known = max(self._known, seen.until)
        self._on_seen(seen)
        is_behind = seen.until is not None and seen.until < seen.look.settled
        if seen.look.is_behind or is_behind:
            return 0
        return SOON_SECONDS if seen.look.is_waiting else LOOK_SECONDS

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

    async def _on_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _look(self) -> Seen:
        before = copy(self._follower)
        try:
            connection = self._open()
            with connection.begin():
                if not self._has_begun:
                    self._follower.begin(connection)
                    self._has_begun = True
                return self._with_changes(connection, self._follower.look(connection))
        except SQLAlchemyError:
            # The next look takes another connection, and finds what this one has found too.
            self._follower = before
            self._disconnect()
            raise

    def _with_changes(self, connection: Connection, look: Look) -> Seen:
        known = self._known
        if known is None or known >= look.settled:
            return Seen(look, (), known)
        changes = changes_between(connection, known, look.settled, most=MOST_CHANGES)
        is_full = len(changes) == MOST_CHANGES
        return Seen(look, tuple(changes), changes[-1].seq if is_full else look.settled)

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
