"""The client for asyncio."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self, TypeAlias, Unpack, overload
from uuid import UUID

import httpx

from waybill import calls
from waybill.answers import (
    AcceptedTask,
    Cancellation,
    RedeemedPasswordReset,
    Task,
    TaskEvent,
    TaskFile,
    Timeline,
)
from waybill.calls import Following, Limits, Paging, Source, Submission, SubmitOptions, TaskFilters, Waiting
from waybill.client.async_registry import AsyncRegistryCalls
from waybill.client.async_schedules import AsyncSchedules
from waybill.client.async_sending import AsyncSending
from waybill.client.settings import AsyncApiKey
from waybill.client.sink import Target, opened
from waybill.client.threads import entered
from waybill_contracts.events import Event
from waybill_contracts.files import FileRef

#: In the class, `list` is its method.
AcceptedTasks: TypeAlias = list[AcceptedTask]
TaskFiles: TypeAlias = list[TaskFile]


class AsyncClient(AsyncRegistryCalls):
    """A client of a gateway, for asyncio. Tasks of one event loop may share one.

        async with AsyncClient("http://127.0.0.1:8000") as client:
            task = await client.submit(InvoiceRequested(order_id="17", email="ann@example.com"))
            print((await client.get(task.id)).state)

    Arguments, retries and errors are those of `Client`; the function that returns the key may be async.

    Attributes:
        schedules: calls about schedules.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: AsyncApiKey | None = None,
        deadline: float = 30.0,
        timeout: float = 10.0,
        ca_file: str | Path | SSLContext | None = None,
        headers: Mapping[str, str] | None = None,
        connections: int = 100,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        sending = AsyncSending(
            url,
            api_key,
            Limits(deadline=deadline, attempt=timeout),
            ca_file=ca_file,
            headers=headers,
            connections=connections,
            transport=transport,
        )
        super().__init__(sending)
        self.schedules = AsyncSchedules(sending)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections.

            await client.close()

        `with` does it at the end of its block.
        """
        await self._sending.close()

    @overload
    async def submit(self, event: Event, /, **options: Unpack[SubmitOptions]) -> AcceptedTask: ...

    @overload
    async def submit(
        self, kind: str, data: Mapping[str, Any], /, **options: Unpack[SubmitOptions]
    ) -> AcceptedTask: ...

    async def submit(
        self, event: Event | str, data: Mapping[str, Any] | None = None, /, **options: Unpack[SubmitOptions]
    ) -> AcceptedTask:
        """Submits a task: an event, or the name of a kind and its data.

            await client.submit(InvoiceRequested(order_id="17", email="ann@example.com"), delay_seconds=60)
            await client.submit("invoice.requested", {"order_id": "17"}, key="order-17")

        See `Client.submit`.
        """
        return await self._run(calls.tasks.submit(event, data, options))

    async def submit_many(
        self, tasks: Iterable[Event | Submission], *, key: str | None = None, deadline: float | None = None
    ) -> AcceptedTasks:
        """Submits up to 1,000 tasks together: all are accepted, or none is.

            accepted = await client.submit_many([
                InvoiceRequested(order_id="17", email="ann@example.com"),
                Submission(InvoiceRequested(order_id="18", email="bob@example.com"), key="order-18"),
            ])

        See `Client.submit_many`.
        """
        return (await self._run(calls.tasks.submit_many(tasks, key, deadline))).tasks

    async def submit_image(
        self,
        image: Source,
        variants: Sequence[str] = (),
        *,
        name: str | None = None,
        content_type: str | None = None,
        **options: Unpack[SubmitOptions],
    ) -> AcceptedTask:
        """Submits an image, of which variants are made; `download_variant` gets them.

            task = await client.submit_image(Path("photograph.png"), ["thumb"])

        See `Client.submit_image`.
        """
        async with entered(calls.files.file_body(image, name, content_type)) as body:
            return await self._run(calls.files.image(body, variants, options))

    async def get(self, task_id: str | UUID) -> Task:
        """The task of this id, as it is now.

            print((await client.get(accepted.id)).state)

        See `Client.get`.
        """
        return await self._run(calls.tasks.get(task_id))

    async def wait(self, task_id: str | UUID, timeout: float | None = None) -> Task:  # noqa: ASYNC109 - as the other client has it
        """Waits until a task has ended, and returns it.

            task = await client.wait(accepted.id, timeout=60)
            print(task.state, task.result)

        See `Client.wait`.
        """
        waiting = Waiting(timeout)
        while not waiting.is_over(
            task := await self._run(calls.tasks.wait(task_id, waiting.seconds, waiting.within))
        ):
            pass
        return task

    def events(
        self,
        task_id: str | UUID | None = None,
        *,
        kinds: Sequence[str] = (),
        last_event_id: str | None = None,
    ) -> AsyncIterator[TaskEvent]:
        """Follows what happens to a task until it has ended, or to all tasks without an end.

            async for event in client.events(accepted.id):
                print(event.at, event.type, event.task_state)

        See `Client.events`.
        """
        return self._sending.events(Following(task_id, kinds, last_event_id, self._sending.limits))

    async def list(self, *, limit: int | None = None, **filters: Unpack[TaskFilters]) -> AsyncIterator[Task]:
        """Tasks, newest first, fetched page by page.

            async for task in client.list(kind="invoice.requested", state="failed", limit=20):
                print(task.id, task.about)

        See `Client.list`.
        """
        paging = Paging[Task](limit)
        while paging.wanted:
            page = await self._run(calls.tasks.page(filters, paging.wanted, paging.cursor))
            for task in paging.items(page):
                yield task

    async def timeline(self, task_id: str | UUID) -> Timeline:
        """All events of a task, in order.

            for event in (await client.timeline(accepted.id)).events:
                print(event.at, event.type, event.service)

        See `Client.timeline`.
        """
        return await self._run(calls.tasks.timeline(task_id))

    async def cancel(self, task_id: str | UUID) -> Cancellation:
        """Cancels a task, and says what that can still achieve.

            if (await client.cancel(accepted.id)).outcome == "prevented":
                print("it will not begin")

        See `Client.cancel`.
        """
        return await self._run(calls.tasks.cancel(task_id))

    async def upload(
        self,
        file: Source,
        *,
        name: str | None = None,
        content_type: str | None = None,
        deadline: float | None = None,
    ) -> FileRef:
        """Uploads a file for tasks to refer to; it is streamed, whatever its size.

            scan = await client.upload(Path("scan.pdf"))
            await client.submit(ContractSigned(order_id="17", document=scan))

        See `Client.upload`.
        """
        async with entered(calls.files.file_body(file, name, content_type)) as body:
            return await self._run(calls.files.upload(body, deadline))

    async def files(self, task_id: str | UUID) -> TaskFiles:
        """The files that services have made for a task, by service and name.

            for file in await client.files(task.id):
                print(file.name, file.size_bytes)

        See `Client.files`.
        """
        return (await self._run(calls.files.listed(task_id))).items

    async def download(
        self,
        task_id: str | UUID,
        name: str,
        to: Target,
        *,
        service: str | None = None,
        deadline: float | None = None,
    ) -> int:
        """Downloads a file that a service has made for a task; it is streamed, whatever its size.

            await client.download(task.id, "invoice.pdf", Path("invoice.pdf"))

        See `Client.download`.
        """
        async with entered(opened(to)) as sink:
            await self._run(calls.files.content(task_id, name, service, deadline), sink)
        return sink.size

    async def download_variant(
        self, task_id: str | UUID, name: str, to: Target, *, deadline: float | None = None
    ) -> int:
        """Downloads a variant of an image.

            await client.download_variant(task.id, "thumb.webp", Path("thumb.webp"))

        See `Client.download_variant`.
        """
        async with entered(opened(to)) as sink:
            await self._run(calls.files.variant(task_id, name, deadline), sink)
        return sink.size

    async def redeem_password_reset(self, token: str) -> RedeemedPasswordReset:
        """Redeems the token of a password reset, which works once.

            person = (await client.redeem_password_reset(token)).email

        See `Client.redeem_password_reset`.
        """
        return await self._run(calls.files.redeem_password_reset(token))
