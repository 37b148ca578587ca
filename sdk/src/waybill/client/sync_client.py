"""The client that blocks."""

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, overload
from uuid import UUID

import httpx

from waybill.client import http, tasks
from waybill.client.answers import AcceptedTask, Cancellation, Task, Timeline
from waybill.client.call import Answer, Call
from waybill.client.headers import trace_headers
from waybill.client.paging import Paging
from waybill.client.retrying import Limits, Trying
from waybill.client.settings import ApiKey, gateway_url, key_source, stated_key
from waybill.client.submission import Submission, SubmitOptions
from waybill.client.tasks import TaskFilters
from waybill.problems import ClientError
from waybill_contracts.events import Event

T = TypeVar("T")


class Client:
    """A client of a gateway. Threads may share one.

        with Client("http://127.0.0.1:8000") as client:
            task = client.submit(InvoiceRequested(order_id="17", email="ann@example.com"))
            print(client.get(task.id).state)

    A call that fails for the moment is tried again until its deadline, with waits in between: for as long as
    the gateway asks, where it does. Every submission has an idempotency key: a repeat makes no second task.
    Each method raises a `ClientError`: a class of `waybill.problems` for each problem of the gateway.

    Args:
        url: of the gateway; None: the variable WAYBILL_URL.
        api_key: the key, a file with it, or a function that returns it; file and function are asked before
            each attempt, so a key may be replaced while the client runs. None: the variable WAYBILL_API_KEY.
        deadline: seconds for a call with all its attempts.
        timeout: seconds for one attempt.
        ca_file: PEM file of the authorities that are trusted for https, instead of the usual ones.
        headers: sent with each call, such as X-Actor for the audit trail.
        connections: most calls at once; others wait for their turn.
        transport: replaces the network, for tests.

    Raises:
        ValueError: no gateway is named, or the URL is none.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: ApiKey | None = None,
        deadline: float = 30.0,
        timeout: float = 10.0,
        ca_file: str | Path | None = None,
        headers: Mapping[str, str] | None = None,
        connections: int = 100,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._url = gateway_url(url)
        self._key: Any = key_source(api_key)
        self._limits = Limits(deadline=deadline, attempt=timeout)
        self._http = httpx.Client(
            **http.options(self._url, ca_file, headers, connections), transport=transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    @overload
    def submit(self, event: Event, /, **options: Unpack[SubmitOptions]) -> AcceptedTask: ...

    @overload
    def submit(
        self, kind: str, data: Mapping[str, Any], /, **options: Unpack[SubmitOptions]
    ) -> AcceptedTask: ...

    def submit(
        self, event: Event | str, data: Mapping[str, Any] | None = None, /, **options: Unpack[SubmitOptions]
    ) -> AcceptedTask:
        """Submits a task: an event, or the name of a kind and its data.

            client.submit(InvoiceRequested(order_id="17", email="ann@example.com"), delay_seconds=60)
            client.submit("invoice.requested", {"order_id": "17", "email": "ann@example.com"}, key="order-17")

        Args:
            event: an event, or the name of a kind.
            data: the data, where a kind is named.
            options: see `SubmitOptions`.

        Returns:
            The task, which is accounted for from now on.

        Raises:
            ProblemError: the gateway refuses it: InvalidDataError, UnknownKindError …
            ClientError: it is not known to be accepted; see `may_have_taken_effect`.
        """
        return self._run(tasks.submit(event, data, options))

    def submit_many(
        self, tasks_: Iterable[Event | Submission], *, key: str | None = None, deadline: float | None = None
    ) -> list[AcceptedTask]:
        """Submits up to 1,000 tasks together: all are accepted, or none is.

            accepted = client.submit_many([
                InvoiceRequested(order_id="17", email="ann@example.com"),
                Submission(InvoiceRequested(order_id="18", email="bob@example.com"), key="order-18"),
            ])

        Args:
            tasks_: events, or submissions with options of their own.
            key: idempotency key of the call; with the place of a task it is that of each task without its
                own. A new one by default.
            deadline: seconds for the call with all its attempts, instead of the client's.

        Returns:
            The accepted tasks, in the order of `tasks_`.

        Raises:
            TasksRefusedError: nothing was accepted; `refused` says what is wrong with which task.
            ClientError: they are not known to be accepted; see `may_have_taken_effect`.
        """
        return self._run(tasks.submit_many(tasks_, key, deadline)).tasks

    def get(self, task_id: str | UUID) -> Task:
        """The task of this id, as it is now.

            print(client.get(accepted.id).state)

        Raises:
            NoSuchTaskError: there is none, or it was pruned.
        """
        return self._run(tasks.get(task_id))

    def list(self, *, limit: int | None = None, **filters: Unpack[TaskFilters]) -> Iterator[Task]:
        """Tasks, newest first, fetched page by page.

            for task in client.list(kind="invoice.requested", state="failed", limit=20):
                print(task.id, task.about)

        Args:
            limit: number of tasks at most; None: all.
            filters: see `TaskFilters`.
        """
        paging = Paging[Task](limit, tasks.MOST_ON_A_PAGE)
        while paging.wanted:
            yield from paging.items(self._run(tasks.page(filters, paging.wanted, paging.cursor)))

    def timeline(self, task_id: str | UUID) -> Timeline:
        """All events of a task, in order.

            for event in client.timeline(accepted.id).events:
                print(event.at, event.type, event.service)

        Raises:
            NoSuchTaskError: there is no such task, or it was pruned.
        """
        return self._run(tasks.timeline(task_id))

    def cancel(self, task_id: str | UUID) -> Cancellation:
        """Cancels a task, and says what that can still achieve.

            if client.cancel(accepted.id).outcome == "prevented":
                print("it will not begin")

        Raises:
            NoSuchTaskError: there is no such task, or it was pruned.
            TooLateError: it has ended.
        """
        return self._run(tasks.cancel(task_id))

    def _run(self, call: Call[T]) -> T:
        trying = Trying(call, self._limits)
        while True:
            try:
                return trying.read(self._send(call, trying.seconds))
            except ClientError as error:
                time.sleep(trying.pause_after(error))

    def _send(self, call: Call[Any], seconds: float) -> Answer:
        headers = {**trace_headers(), **call.headers}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {stated_key(self._key)}"
        ends = time.monotonic() + seconds
        try:
            with self._http.stream(
                call.method,
                call.path,
                params=call.params,
                content=call.content,
                headers=headers,
                timeout=http.timeout(seconds),
            ) as response:
                content = bytearray()
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > http.MAX_ANSWER_BYTES:
                        raise http.too_long(response)
                    if time.monotonic() > ends:
                        raise http.unreachable(TimeoutError("the answer takes too long"), self._url)
                return http.answer_of(response, bytes(content))
        except httpx.HTTPError as error:
            raise http.unreachable(error, self._url) from error
