"""Submits the tasks of a function."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, ParamSpec, TypedDict, Unpack, overload

from waybill.problems import (
    ChangedMeanwhileError,
    NameTakenError,
    NoSuchScheduleError,
    ScheduleDeletedError,
)
from waybill.submitting.clients import async_client, sync_client
from waybill_contracts.events import Event

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
    from sqlalchemy.orm import Session

    from waybill.client import (
        AcceptedTask,
        AsyncClient,
        Client,
        Priority,
        Schedule,
        ScheduleTiming,
        Submission,
    )

    #: What has a transaction of an application, and is not awaited; and what is.
    Plain = Session | Connection | psycopg.Connection[Any]
    Awaited = AsyncSession | AsyncConnection | psycopg.AsyncConnection[Any]

#: Parameters of a task.
Q = ParamSpec("Q")
#: What another deployment has done to a schedule since it was looked for.
_MEANWHILE: Final = (NameTakenError, NoSuchScheduleError, ScheduleDeletedError, ChangedMeanwhileError)
#: How often it is looked for again. Of those that change it at once one succeeds; the others come back at
#: different times within so many seconds.
_LOOKS: Final = 20
_APART_SECONDS: Final = 0.25


class TaskOptions(TypedDict, total=False):
    """How a task is submitted; each may be left out."""

    #: Submits it instead of the default client.
    client: "Client | AsyncClient"
    #: Idempotency key: however often it is submitted with this key, one task is accepted.
    key: str
    #: Not before this time, which has a zone.
    send_at: datetime
    #: Not before so many seconds from now.
    delay_seconds: float | timedelta
    #: `low` is bulk work, which never delays other work; `high` is rare work that a person waits for.
    priority: "Priority"
    #: For `submit_in`: rows with an equal one become tasks in the order in which they were written.
    order_key: str


class Submitter(Generic[Q]):
    """Submits the tasks of one function.

    Args:
        made: makes the event of a task from its arguments.
        options: of each task.
    """

    def __init__(self, made: Callable[Q, Event], options: TaskOptions) -> None:
        self._made = made
        self._options = options

    def event(self, *args: Q.args, **arguments: Q.kwargs) -> Event:
        """The event of a task with these arguments.

            attempt.submit(remind.event("ann@example.com", days=7))

        Raises:
            TypeError: the function takes no such arguments.
            ValidationError: the contract does not allow them.
        """
        return self._made(*args, **arguments)

    def using(self, **options: Unpack[TaskOptions]) -> "Submitter[Q]":
        """The same function, with options for its tasks.

            remind.using(delay_seconds=3600, key="order-7").submit("ann@example.com")

        Args:
            options: see `TaskOptions`.
        """
        return Submitter(self._made, {**self._options, **options})

    def submit(self, *args: Q.args, **arguments: Q.kwargs) -> "AcceptedTask":
        """Submits a task: when this returns, it is accepted.

            task = remind.submit("ann@example.com", days=7)
            print(task.id)

        Raises:
            TypeError, ValidationError: see `event`.
            ClientError: it was not accepted, or that is not known: see `Client.submit`.
            ValueError: no client was given, and the environment names no gateway.
        """
        event, options = self._made(*args, **arguments), self._of_call()
        return self._client().submit(event, **options)

    async def asubmit(self, *args: Q.args, **arguments: Q.kwargs) -> "AcceptedTask":
        """Submits a task, in async code; see `submit`.

        task = await remind.asubmit("ann@example.com", days=7)
        """
        event, options = self._made(*args, **arguments), self._of_call()
        async with self._async_client() as client:
            return await client.submit(event, **options)

    @overload
    def submit_in(self, transaction: "Plain", /, *args: Q.args, **arguments: Q.kwargs) -> str: ...

    @overload
    def submit_in(
        self, transaction: "Awaited", /, *args: Q.args, **arguments: Q.kwargs
    ) -> Coroutine[Any, Any, str]: ...

    @overload
    def submit_in(self, transaction: Any, /, *args: Q.args, **arguments: Q.kwargs) -> Any: ...

    def submit_in(self, transaction: Any, /, *args: Q.args, **arguments: Q.kwargs) -> Any:
        """Writes a task into the application outbox, in the application's own transaction.

            with Session(engine) as session, session.begin():
                session.add(Order(id="7"))
                remind.submit_in(session, "ann@example.com")

        Args:
            transaction: a session or connection of SQLAlchemy, a connection of psycopg or Django; with an
                async one this is awaited.
            args: of the function.
            arguments: of the function.

        Returns:
            The id of the row: see `waybill.outbox.submit`.
        """
        from waybill import outbox  # noqa: PLC0415 - only those who have one need it

        if "client" in self._options:
            raise TypeError("a relay submits what is in the outbox, with a client of its own")
        options: Any = self._options
        return outbox.submit(transaction, self._made(*args, **arguments), **options)

    def schedule(
        self, name: str, event: Event | None = None, /, **timing: Unpack["ScheduleTiming"]
    ) -> "Schedule":
        """Makes tasks repeatedly: creates the schedule of this name, or changes it.

            close_books.schedule("close-books", cron="0 3 1 * *", timezone="Europe/Berlin")
            remind.schedule("remind-ann", remind.event("ann@example.com"), every_seconds=86400)

        So it may be called each time that the application is deployed, by all its processes at once. What
        `timing` does not name stays as it is in a schedule that exists.

        Args:
            name: a unique one.
            event: of each task; None: the function without arguments.
            timing: see `waybill.client.ScheduleTiming`; `cron` or `every_seconds` is needed.

        Raises:
            TypeError: the function needs arguments.
            ValueError: the schedule of this name is one of another kind.
            ClientError: as for `client.schedules.create`.
        """
        stated, schedules = self._scheduled(event), self._client().schedules
        for left in range(_LOOKS, -1, -1):
            found = next(schedules.list(name=name, limit=1), None)
            try:
                if found is None:
                    return schedules.create(name, stated, **timing)
                return schedules.change(_same_kind(found, stated), body=stated, **timing)
            except _MEANWHILE:
                if not left:
                    raise
                time.sleep(_apart())
        raise AssertionError("the last look returns or raises")

    async def aschedule(
        self, name: str, event: Event | None = None, /, **timing: Unpack["ScheduleTiming"]
    ) -> "Schedule":
        """Makes tasks repeatedly, in async code; see `schedule`.

        await close_books.aschedule("close-books", cron="0 3 1 * *")
        """
        stated = self._scheduled(event)
        async with self._async_client() as client:
            for left in range(_LOOKS, -1, -1):
                found = [each async for each in client.schedules.list(name=name, limit=1)]
                try:
                    if not found:
                        return await client.schedules.create(name, stated, **timing)
                    return await client.schedules.change(_same_kind(found[0], stated), body=stated, **timing)
                except _MEANWHILE:
                    if not left:
                        raise
                    await asyncio.sleep(_apart())
        raise AssertionError("the last look returns or raises")

    def submission(self, *args: Q.args, **arguments: Q.kwargs) -> "Submission":
        """A task for `Client.submit_many`.

        client.submit_many([remind.submission(address) for address in addresses])

        Raises:
            TypeError, ValidationError: see `event`.
        """
        from waybill.client import Submission  # noqa: PLC0415 - it brings an HTTP library

        if "client" in self._options:
            raise TypeError("tasks that are submitted together have one client: give none to one of them")
        options = self._of_call()
        return Submission(self._made(*args, **arguments), **options)

    def _scheduled(self, event: Event | None) -> Event:
        if self._options.keys() - {"client"}:
            raise TypeError("a schedule takes its options itself: schedule(…, priority=…)")
        made: Any = self._made
        stated: Event = made() if event is None else event
        return stated

    def _client(self) -> "Client":
        client = self._options.get("client")
        if client is None:
            return sync_client()
        from waybill.client import Client  # noqa: PLC0415 - as above

        if not isinstance(client, Client):
            raise TypeError("an AsyncClient submits with asubmit(…), and schedules with aschedule(…)")
        return client

    @asynccontextmanager
    async def _async_client(self) -> "AsyncIterator[AsyncClient]":
        client = self._options.get("client")
        if client is None:
            async with async_client() as default:
                yield default
            return
        from waybill.client import AsyncClient  # noqa: PLC0415 - as above

        if not isinstance(client, AsyncClient):
            raise TypeError("a Client submits with submit(…), and schedules with schedule(…)")
        yield client

    def _of_call(self) -> Any:
        """The options, as a client takes them."""
        if "order_key" in self._options:
            raise TypeError("order_key orders the rows of an outbox: use submit_in(…)")
        return {name: value for name, value in self._options.items() if name != "client"}


def _same_kind(found: "Schedule", event: Event) -> str:
    """Id of a schedule whose tasks are of the kind of an event.

    Raises:
        ValueError: they are of another one.
    """
    if found.kind != event.KIND:
        raise ValueError(f"the schedule {found.name} makes tasks of the kind {found.kind}: take another name")
    return found.id


def _apart() -> float:
    """Seconds until the next look, at random: those that met should not meet again."""
    return random.uniform(0, _APART_SECONDS)  # noqa: S311 - nothing is kept secret
