"""The client that blocks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from waybill.client.settings import ApiKey
from waybill.client.sink import Target, opened
from waybill.client.sync_registry import RegistryCalls
from waybill.client.sync_schedules import Schedules
from waybill.client.sync_sending import SyncSending
from waybill_contracts.events import Event
from waybill_contracts.files import FileRef

#: In the class, `list` is its method.
AcceptedTasks: TypeAlias = list[AcceptedTask]
TaskFiles: TypeAlias = list[TaskFile]


class Client(RegistryCalls):
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
        deadline: seconds for a call with all its attempts. A transfer of a file may take ten minutes, and a
            wait its own time: attempts at these may begin for so many seconds after the first has failed.
            0: one attempt, for callers that repeat calls themselves.
        timeout: seconds for one attempt.
        ca_file: PEM file of the authorities that are trusted for https, or a context of ssl.
        headers: sent with each call, such as X-Actor for the audit trail.
        connections: most calls at once; others wait for their turn.
        transport: replaces the network, for tests.

    Raises:
        ValueError: no gateway is named, or the URL is none.

    Attributes:
        schedules: calls about schedules.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: ApiKey | None = None,
        deadline: float = 30.0,
        timeout: float = 10.0,
        ca_file: str | Path | SSLContext | None = None,
        headers: Mapping[str, str] | None = None,
        connections: int = 100,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        sending = SyncSending(
            url,
            api_key,
            Limits(deadline=deadline, attempt=timeout),
            ca_file=ca_file,
            headers=headers,
            connections=connections,
            transport=transport,
        )
        super().__init__(sending)
        self.schedules = Schedules(sending)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections.

            client.close()

        `with` does it at the end of its block.
        """
        self._sending.close()

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
        return self._run(calls.tasks.submit(event, data, options))

    def submit_many(
        self, tasks: Iterable[Event | Submission], *, key: str | None = None, deadline: float | None = None
    ) -> AcceptedTasks:
        """Submits up to 1,000 tasks together: all are accepted, or none is.

            accepted = client.submit_many([
                InvoiceRequested(order_id="17", email="ann@example.com"),
                Submission(InvoiceRequested(order_id="18", email="bob@example.com"), key="order-18"),
            ])

        Args:
            tasks: events, or submissions with options of their own.
            key: idempotency key of the call; with the place of a task it is that of each task without its
                own. A new one by default.
            deadline: seconds for the call with all its attempts, instead of the client's.

        Returns:
            The accepted tasks, in the order of `tasks`.

        Raises:
            TasksRefusedError: nothing was accepted; `refused` says what is wrong with which task.
            ClientError: they are not known to be accepted; see `may_have_taken_effect`.
        """
        return self._run(calls.tasks.submit_many(tasks, key, deadline)).tasks

    def submit_image(
        self,
        image: Source,
        variants: Sequence[str] = (),
        *,
        name: str | None = None,
        content_type: str | None = None,
        **options: Unpack[SubmitOptions],
    ) -> AcceptedTask:
        """Submits an image, of which variants are made; `download_variant` gets them.

            task = client.submit_image(Path("photograph.png"), ["thumb"])

        Args:
            image: its content, an open file, or its path.
            variants: their names; none: all.
            name: of the file, for people; by default that of the path.
            content_type: of the image; the gateway looks for itself.
            options: see `SubmitOptions`.
        """
        with calls.files.file_body(image, name, content_type) as body:
            return self._run(calls.files.image(body, variants, options))

    def get(self, task_id: str | UUID) -> Task:
        """The task of this id, as it is now.

            print(client.get(accepted.id).state)

        Raises:
            NoSuchTaskError: there is none, or it was pruned.
        """
        return self._run(calls.tasks.get(task_id))

    def wait(self, task_id: str | UUID, timeout: float | None = None) -> Task:
        """Waits until a task has ended, and returns it.

            task = client.wait(accepted.id, timeout=60)
            print(task.state, task.result)

        The gateway answers when the task ends, so nothing is polled.

        Args:
            task_id: of the task.
            timeout: seconds at most, and one more for the answer to arrive; None: no limit.

        Raises:
            NotEndedError: it has not ended in time; it goes on.
            NoSuchTaskError: there is no such task, or it was pruned.
            UnreachableError: the gateway was away when the time was over, or for longer than the deadline.
        """
        waiting = Waiting(timeout)
        while not waiting.is_over(
            task := self._run(calls.tasks.wait(task_id, waiting.seconds, waiting.within))
        ):
            pass
        return task

    def events(
        self,
        task_id: str | UUID | None = None,
        *,
        kinds: Sequence[str] = (),
        last_event_id: str | None = None,
    ) -> Iterator[TaskEvent]:
        """Follows what happens to a task until it has ended, or to all tasks without an end.

            for event in client.events(accepted.id):
                print(event.at, event.type, event.task_state)

        A connection that is lost is made again, where it stood: no event is missed, and none comes twice.

        Args:
            task_id: of the task, from its first event; None: all tasks that the key may see, from now on.
            kinds: for all tasks: only those of these kinds.
            last_event_id: events after the one of this id, which was received before.

        Raises:
            NoSuchTaskError: there is no such task, or it was pruned.
            KeyEndedError: the key was revoked meanwhile.
            UnreachableError: the gateway has been away for longer than the deadline of a call.
        """
        return self._sending.events(Following(task_id, kinds, last_event_id, self._sending.limits))

    def list(self, *, limit: int | None = None, **filters: Unpack[TaskFilters]) -> Iterator[Task]:
        """Tasks, newest first, fetched page by page.

            for task in client.list(kind="invoice.requested", state="failed", limit=20):
                print(task.id, task.about)

        Args:
            limit: number of tasks at most; None: all.
            filters: see `TaskFilters`.
        """
        paging = Paging[Task](limit)
        while paging.wanted:
            yield from paging.items(self._run(calls.tasks.page(filters, paging.wanted, paging.cursor)))

    def timeline(self, task_id: str | UUID) -> Timeline:
        """All events of a task, in order.

            for event in client.timeline(accepted.id).events:
                print(event.at, event.type, event.service)

        They are kept as long as the task.
        """
        return self._run(calls.tasks.timeline(task_id))

    def cancel(self, task_id: str | UUID) -> Cancellation:
        """Cancels a task, and says what that can still achieve.

            if client.cancel(accepted.id).outcome == "prevented":
                print("it will not begin")

        Raises:
            NoSuchTaskError: there is no such task, or it was pruned.
            TooLateError: it has ended.
        """
        return self._run(calls.tasks.cancel(task_id))

    def upload(
        self,
        file: Source,
        *,
        name: str | None = None,
        content_type: str | None = None,
        deadline: float | None = None,
    ) -> FileRef:
        """Uploads a file for tasks to refer to; it is streamed, whatever its size.

            scan = client.upload(Path("scan.pdf"))
            client.submit(ContractSigned(order_id="17", document=scan))

        Args:
            file: its content, an open file that can be sought in, or its path.
            name: for people; by default that of the path.
            content_type: its media type; by default what its name says.
            deadline: seconds for the call with all its attempts; None: see `Client`.

        Returns:
            The reference that a field of the type `FileRef` takes.
        """
        with calls.files.file_body(file, name, content_type) as body:
            return self._run(calls.files.upload(body, deadline))

    def files(self, task_id: str | UUID) -> TaskFiles:
        """The files that services have made for a task, by service and name.

            for file in client.files(task.id):
                print(file.name, file.size_bytes)

        The content of one comes with `download`.
        """
        return self._run(calls.files.listed(task_id)).items

    def download(
        self,
        task_id: str | UUID,
        name: str,
        to: Target,
        *,
        service: str | None = None,
        deadline: float | None = None,
    ) -> int:
        """Downloads a file that a service has made for a task; it is streamed, whatever its size.

            client.download(task.id, "invoice.pdf", Path("invoice.pdf"))

        Args:
            task_id: of the task.
            name: of the file.
            to: an open file, or a path, which has the file once it is whole.
            service: that made it, if several have made one of this name.
            deadline: seconds for the call with all its attempts; None: see `Client`.

        Returns:
            Its size in bytes.

        Raises:
            NoSuchFileError: the task has no such file.
            NotProducedYetError: the task has not been completed.
        """
        with opened(to) as sink:
            self._run(calls.files.content(task_id, name, service, deadline), sink)
        return sink.size

    def download_variant(
        self, task_id: str | UUID, name: str, to: Target, *, deadline: float | None = None
    ) -> int:
        """Downloads a variant of an image.

            client.download_variant(task.id, "thumb.webp", Path("thumb.webp"))

        The name has the format if that matters: `thumb.webp`, `thumb.jpeg`, `thumb`. See `download`.
        """
        with opened(to) as sink:
            self._run(calls.files.variant(task_id, name, deadline), sink)
        return sink.size

    def redeem_password_reset(self, token: str) -> RedeemedPasswordReset:
        """Redeems the token of a password reset, which works once.

            person = client.redeem_password_reset(token).email

        Raises:
            TokenUnknownError, TokenExpiredError, TokenRedeemedError: the token is not valid.
        """
        return self._run(calls.files.redeem_password_reset(token))
