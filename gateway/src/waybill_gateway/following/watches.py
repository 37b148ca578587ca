"""Those who watch tasks in this gateway, and what wakes and ends them."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import Annotated, ClassVar, Final

from fastapi import Depends, Request
from sqlalchemy import Connection

from waybill_database import Records
from waybill_gateway.auth import Authenticator, Caller
from waybill_gateway.following.gathered import Gathered
from waybill_gateway.following.ledger_reader import LedgerReader, Seen
from waybill_gateway.following.recent import Recent
from waybill_gateway.following.watch import Over, Sort, Watch
from waybill_gateway.http import GatewayMetrics, Problem, ledger_unavailable
from waybill_gateway.settings import GatewaySettings
from waybill_ledger import Task, get_tasks
from waybill_ledger.following import Change, changes_between, changes_of
from waybill_worker.runtime import PeriodicTask, first_completed

#: Seconds between two reads of the keys of all who watch.
KEY_SECONDS: Final = 1.0
#: Seconds for the first look at the ledger, which is made when the first one comes to watch.
READY_SECONDS: Final = 5.0
#: Events that one who is far behind reads at once.
MOST_A_PAGE: Final = 500
#: Seconds after which one who was not admitted may ask again.
_RETRY_SECONDS: Final = 5

#: A task, and the number of the last of its events that is known.
Place = tuple[str, int]


class Watches:
    """Those who watch tasks in this gateway; one reader of the ledger wakes them all.

    Args:
        settings: the ledger, and how many may watch.
        records: the ledger.
        stopping: is set when the gateway is to stop: then all watches end.
        authenticator: knows whose key has ended.
        metrics: are counted.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        records: Records,
        stopping: asyncio.Event,
        authenticator: Authenticator,
        metrics: GatewayMetrics,
    ) -> None:
        self._most = settings.max_watchers
        self._records = records
        self._stopping = stopping
        self._metrics = metrics
        self._reader = LedgerReader(settings.ledger_url, settings.database_answer_seconds, self._on_seen)
        self._key_check = _KeyCheck(authenticator, self._callers, self._end_callers)
        self._ending: asyncio.Task[None] | None = None
        self._tasks: Gathered[str, Task] = Gathered(records, get_tasks)
        self._changes: Gathered[Place, list[Change]] = Gathered(records, _changes_after)
        self._by_task: dict[str, set[Watch]] = defaultdict(set)
        self._of_all: set[Watch] = set()
        self._count = 0
        #: While there are watches of all tasks.
        self._recent: Recent | None = None

    def start(self) -> None:
        """Begins to serve those who watch."""
        self._reader.start()
        self._key_check.start()
        self._ending = asyncio.create_task(self._end_when_stopping(), name="end of watches")

    async def wait_failed(self) -> None:
        """Returns only when a part of it has ended by itself; the log says why."""
        await first_completed(self._reader.wait_failed(), self._key_check.wait_failed())

    async def stop(self) -> None:
        """Ends all watches, and stops to read the ledger."""
        self._end_all(Over.STOPPING)
        if self._ending is not None:
            self._ending.cancel()
            await asyncio.gather(self._ending, return_exceptions=True)
        await self._key_check.stop()
        await self._reader.stop()

    @contextmanager
    def watching(self, sort: Sort, caller: Caller, task_id: str | None = None) -> Iterator[Watch]:
        """A watch for the length of the block: see `Watch`.

        Raises:
            Problem: 503, too many watch already.
        """
        if self._count >= self._most:
            raise _too_many()
        watch = Watch(sort, caller, task_id)
        if self._stopping.is_set():
            watch.end(Over.STOPPING)
        those = self._of_all if task_id is None else self._by_task[task_id]
        those.add(watch)
        self._count += 1
        self._reader.enter(is_of_all=task_id is None)
        self._metrics.watchers(sort, 1)
        try:
            yield watch
        finally:
            self._metrics.watchers(sort, -1)
            self._reader.leave(is_of_all=task_id is None)
            self._count -= 1
            those.discard(watch)
            if not those:
                self._nobody_watches(task_id)

    def require_few(self, task_id: str, most: int) -> None:
        """Refuses one more watch of a task by its links.

        Raises:
            Problem: 503, there are so many.
        """
        if sum(watch.sort is Sort.LINK for watch in self._by_task.get(task_id, ())) >= most:
            raise _too_many()

    async def until_ended(self, watch: Watch, seconds: float) -> Task | None:
        """The task of a watch, as soon as it has ended; or after `seconds`, or when the watch is over.

        Returns:
            None: the caller may see no such task.

        Raises:
            Problem: 503, the ledger does not answer.
            SQLAlchemyError: the ledger does not answer.
        """
        task_id, tenant = watch.task_id or "", watch.caller.sees
        try:
            async with asyncio.timeout(seconds):
                await self.ready()
                while watch.over is None:
                    watch.expect()
                    task = await self.task(task_id, tenant)
                    if task is None or task.state.is_terminal:
                        return task
                    await watch.wait()
        except TimeoutError:
            pass
        return await self.task(task_id, tenant)

    async def ready(self) -> None:
        """Returns once everything wakes its watches that happens from then on.

        Raises:
            Problem: 503, the ledger does not answer.
        """
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._reader.ready()
        except TimeoutError:
            raise ledger_unavailable() from None

    async def task(self, task_id: str, tenant: str | None) -> Task | None:
        """The task as it is now, read together with those of others.

        Args:
            task_id: of the task.
            tenant: that must own it; None: any.

        Raises:
            SQLAlchemyError: the ledger did not answer.
        """
        task = await self._tasks.get(task_id)
        return task if task is not None and tenant in {None, task.tenant} else None

    async def changes_of(self, task_id: str, after: int) -> list[Change]:
        """The events of a task after this number, in order, read together with those of others.

        Raises:
            SQLAlchemyError: the ledger did not answer.
        """
        return await self._changes.get((task_id, after)) or []

    def end_of_all(self) -> int:
        """Number of the last settled event of all tasks, while all tasks are watched."""
        return self._kept().until

    async def changes_of_all(self, tenant: str | None, after: int) -> tuple[list[Change], int]:
        """The next events of all tasks of a tenant after this number.

        Args:
            tenant: that owns the tasks; None: any.
            after: number of the last one that is known.

        Returns:
            The events in order, and the number after which to go on; that same number if there is nothing
            more.

        Raises:
            SQLAlchemyError: the ledger did not answer.
        """
        recent = self._kept()
        kept = recent.after(after)
        if kept is not None:
            until = max(after, kept[-1].seq) if kept else max(after, recent.until)
            return [each for each in kept if tenant in {None, each.tenant}], until
        until = recent.until
        query = partial(changes_between, after=after, until=until, most=MOST_A_PAGE, tenant=tenant)
        page = await self._records.read(query)
        return page, page[-1].seq if len(page) == MOST_A_PAGE else until

    def _nobody_watches(self, task_id: str | None) -> None:
        if task_id is None:
            self._recent = None
        else:
            del self._by_task[task_id]

    def _kept(self) -> Recent:
        if self._recent is None:
            self._recent = Recent(self._reader.follow_all())
        return self._recent

    def _on_seen(self, seen: Seen) -> None:
        for task_id in seen.look.tasks & self._by_task.keys():
            has_ended = task_id in seen.look.ended
            for watch in self._by_task[task_id]:
                if has_ended or watch.sort is not Sort.END:
                    watch.wake()
        if self._recent is not None and seen.until is not None and seen.until > self._recent.until:
            self._recent.add(seen.changes, seen.until)
            for watch in self._of_all:
                watch.wake()

    def _all(self) -> list[Watch]:
        return [watch for those in (self._of_all, *self._by_task.values()) for watch in those]

    def _callers(self) -> set[Caller]:
        return {watch.caller for watch in self._all()}

    def _end_callers(self, callers: Collection[Caller]) -> None:
        for watch in self._all():
            if watch.caller in callers:
                watch.end(Over.KEY)

    def _end_all(self, why: Over) -> None:
        for watch in self._all():
            watch.end(why)

    async def _end_when_stopping(self) -> None:
        await self._stopping.wait()
        self._end_all(Over.STOPPING)


class _KeyCheck(PeriodicTask):
    """Ends the watches of callers whose keys have ended; one read of the ledger for all keys."""

    NAME: ClassVar = "check of the keys of watchers"

    def __init__(
        self,
        authenticator: Authenticator,
        callers: Callable[[], set[Caller]],
        end: Callable[[Collection[Caller]], None],
    ) -> None:
        super().__init__(every_seconds=KEY_SECONDS)
        self._authenticator = authenticator
        self._callers = callers
        self._end = end

    async def _run_once(self) -> None:
        if callers := self._callers():
            self._end(await self._authenticator.ended(callers))


def _changes_after(connection: Connection, places: Collection[Place]) -> Mapping[Place, list[Change]]:
    earliest: dict[str, int] = {}
    for task_id, after in places:
        earliest[task_id] = min(after, earliest.get(task_id, after))
    found = changes_of(connection, earliest)
    return {
        (task_id, after): [change for change in found[task_id] if change.seq > after]
        for task_id, after in places
    }


def _too_many() -> Problem:
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "too_many_watchers",
        "Too many callers wait for tasks at this gateway. Ask without waiting, or again later.",
        headers={"Retry-After": str(_RETRY_SECONDS)},
    )


async def _current_watches(request: Request) -> Watches:
    watches: Watches = request.app.state.watches
    return watches


#: Those who watch tasks in this gateway, for a route's signature.
WatchesDep = Annotated[Watches, Depends(_current_watches)]
