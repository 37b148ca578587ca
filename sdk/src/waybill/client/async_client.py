"""The client for asyncio."""

from collections.abc import AsyncIterator, Iterable, Mapping
from inspect import isawaitable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, overload
from uuid import UUID

import anyio
import httpx

from waybill.client import http, tasks
from waybill.client.answers import AcceptedTask, Cancellation, Task, Timeline
from waybill.client.call import Answer, Call
from waybill.client.headers import trace_headers
from waybill.client.paging import Paging
from waybill.client.retrying import Limits, Trying
from waybill.client.settings import AsyncApiKey, gateway_url, key_in, key_source, stated_key
from waybill.client.submission import Submission, SubmitOptions
from waybill.client.tasks import TaskFilters
from waybill.problems import ClientError
from waybill_contracts.events import Event

T = TypeVar("T")


class AsyncClient:
    """A client of a gateway, for asyncio. Tasks of one event loop may share one.

        async with AsyncClient("http://127.0.0.1:8000") as client:
            task = await client.submit(InvoiceRequested(order_id="17", email="ann@example.com"))
            print((await client.get(task.id)).state)

    Arguments, retries and errors are those of `Client`. The function that returns the key may be async.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: AsyncApiKey | None = None,
        deadline: float = 30.0,
        timeout: float = 10.0,
        ca_file: str | Path | None = None,
        headers: Mapping[str, str] | None = None,
        connections: int = 100,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url = gateway_url(url)
        self._key: Any = key_source(api_key)
        self._limits = Limits(deadline=deadline, attempt=timeout)
        self._http = httpx.AsyncClient(
            **http.options(self._url, ca_file, headers, connections), transport=transport
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    @overload
    async def submit(self, event: Event, /, **options: Unpack[SubmitOptions]) -> AcceptedTask: ...

    @overload
    async def submit(
        self, kind: str, data: Mapping[str, Any], /, **options: Unpack[SubmitOptions]
    ) -> AcceptedTask: ...

    async def submit(
        self, event: Event | str, data: Mapping[str, Any] | None = None, /, **options: Unpack[SubmitOptions]
    ) -> AcceptedTask:
        """Submits a task, as `Client.submit` does.

        await client.submit(InvoiceRequested(order_id="17", email="ann@example.com"), key="order-17")
        """
        return await self._run(tasks.submit(event, data, options))

    async def submit_many(
        self, tasks_: Iterable[Event | Submission], *, key: str | None = None, deadline: float | None = None
    ) -> list[AcceptedTask]:
        """Submits up to 1,000 tasks together, all or none, as `Client.submit_many` does.

        accepted = await client.submit_many([Submission(event, key=event.order_id) for event in events])
        """
        return (await self._run(tasks.submit_many(tasks_, key, deadline))).tasks

    async def get(self, task_id: str | UUID) -> Task:
        """The task of this id, as it is now; see `Client.get`.

        print((await client.get(accepted.id)).state)
        """
        return await self._run(tasks.get(task_id))

    async def list(self, *, limit: int | None = None, **filters: Unpack[TaskFilters]) -> AsyncIterator[Task]:
        """Tasks, newest first, fetched page by page; see `Client.list`.

        async for task in client.list(kind="invoice.requested", state="failed", limit=20):
            print(task.id, task.about)
        """
        paging = Paging[Task](limit, tasks.MOST_ON_A_PAGE)
        while paging.wanted:
            page = await self._run(tasks.page(filters, paging.wanted, paging.cursor))
            for task in paging.items(page):
                yield task

    async def timeline(self, task_id: str | UUID) -> Timeline:
        """All events of a task, in order; see `Client.timeline`.

        for event in (await client.timeline(accepted.id)).events:
            print(event.at, event.type, event.service)
        """
        return await self._run(tasks.timeline(task_id))

    async def cancel(self, task_id: str | UUID) -> Cancellation:
        """Cancels a task, and says what that can still achieve; see `Client.cancel`.

        if (await client.cancel(accepted.id)).outcome == "prevented":
            print("it will not begin")
        """
        return await self._run(tasks.cancel(task_id))

    async def _run(self, call: Call[T]) -> T:
        trying = Trying(call, self._limits)
        while True:
            try:
                return trying.read(await self._send(call, trying.seconds))
            except ClientError as error:
                await anyio.sleep(trying.pause_after(error))

    async def _send(self, call: Call[Any], seconds: float) -> Answer:
        headers = {**trace_headers(), **call.headers}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {await self._stated_key()}"
        try:
            with anyio.fail_after(seconds):
                async with self._http.stream(
                    call.method,
                    call.path,
                    params=call.params,
                    content=call.content,
                    headers=headers,
                    timeout=http.timeout(seconds),
                ) as response:
                    content = bytearray()
                    async for chunk in response.aiter_bytes():
                        content += chunk
                        if len(content) > http.MAX_ANSWER_BYTES:
                            raise http.too_long(response)
                    return http.answer_of(response, bytes(content))
        except (httpx.HTTPError, TimeoutError) as error:
            raise http.unreachable(error, self._url) from error

    async def _stated_key(self) -> str:
        if isinstance(self._key, str | Path):
            return stated_key(self._key)
        made = self._key()
        return key_in(await made if isawaitable(made) else made)
