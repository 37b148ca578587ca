"""A gateway in memory, for unit tests of applications."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final, TypeVar

import httpx

from waybill.client import AsyncClient, Client, using_transport
from waybill.definition import Service
from waybill.submitting import default_client
from waybill.testing.memory_tasks import MemoryTask, MemoryTasks, RefusedSubmission
from waybill_contracts.events import Event

EventT = TypeVar("EventT", bound=Event)
#: No server is asked.
URL: Final = "http://memory"
_Answer = tuple[int, Any]


class MemoryGateway:
    """A gateway in memory: it records what is submitted, and can run the handlers of services.

        def test_a_customer_is_welcomed(waybill_memory: MemoryGateway) -> None:
            welcome("ann@example.com")
            [mail] = waybill_memory.events(EmailRequested)
            assert mail.to == "ann@example.com"

    Every `Client` and `AsyncClient` that is made within `installed()` talks to it, and so do handler tasks.
    It answers calls about tasks and uploads as a gateway does: keys, refusals, problem documents. Any other
    call is an AssertionError; `waybill_stack` has a real gateway.

    Args:
        kinds: event classes and services whose kinds it accepts, each checked by its contract. None given:
            it accepts any kind, unchecked.

    Attributes:
        tasks: all that was submitted, in order.
        uploads: key to content of the files that were uploaded.
    """

    def __init__(self, *kinds: type[Event] | Service[Any]) -> None:
        self._services = [each for each in kinds if isinstance(each, Service)]
        classes = [each for each in kinds if not isinstance(each, Service)]
        classes += [event for service in self._services for event in service.events]
        handled: dict[str, tuple[str, ...]] = {}
        for service in self._services:
            for event in service.events:
                handled[event.KIND] = (*handled.get(event.KIND, ()), service.name)
        self._store = MemoryTasks({event.KIND: event for event in classes} if kinds else None, handled)
        self._problem: tuple[int, str, str] | None = None
        self._is_away = False
        self.uploads: dict[str, bytes] = {}
        self.transport: Final = httpx.MockTransport(self._answer)

    @property
    def tasks(self) -> list[MemoryTask]:
        """All that was submitted, in order.

        assert [task.kind for task in gateway.tasks] == ["order.placed"]
        """
        return list(self._store.tasks.values())

    def events(self, event: type[EventT]) -> list[EventT]:
        """What was submitted of a kind, as events of its class, in order.

            [mail] = gateway.events(EmailRequested)

        Raises:
            ValidationError: the data of one does not fit the class.
        """
        of_kind = (task for task in self.tasks if task.kind == event.KIND)
        return [event.model_validate_json(json.dumps(task.data)) for task in of_kind]

    def client(self, **options: Any) -> Client:
        """A client of it; options as `Client` takes them.

        with gateway.client() as client:
            client.submit(EmailRequested(to="ann@example.com", subject="Hello", text="Good morning."))
        """
        return Client(URL, transport=self.transport, **options)

    def async_client(self, **options: Any) -> AsyncClient:
        """A client of it for asyncio; options as `AsyncClient` takes them.

        async with gateway.async_client() as client:
            await client.submit(EmailRequested(to="ann@example.com", subject="Hello", text="Hi."))
        """
        return AsyncClient(URL, transport=self.transport, **options)

    @contextmanager
    def installed(self) -> Iterator["MemoryGateway"]:
        """Takes the place of every gateway, for clients that are made within the block.

        with MemoryGateway().installed() as gateway, Client() as client:
            client.submit("order.placed", {"order_id": "17"})
            assert [task.kind for task in gateway.tasks] == ["order.placed"]
        """
        with ExitStack() as stack:
            stack.enter_context(using_transport(self.transport, URL))
            stack.enter_context(default_client(stack.enter_context(self.client())))
            yield self

    @contextmanager
    def refusing(self, code: str, *, status: int = 422, detail: str = "A test says so.") -> Iterator[None]:
        """Answers every call within the block with a problem.

            with gateway.refusing("ledger_unavailable", status=503):
                assert place_order("17") == "try again later"

        Calls that may be repeated are: give the client of the test a short `deadline`.
        """
        self._problem = status, code, detail
        try:
            yield
        finally:
            self._problem = None

    @contextmanager
    def away(self) -> Iterator[None]:
        """Cannot be reached within the block.

        with gateway.away():
            assert place_order("17") == "try again later"
        """
        self._is_away = True
        try:
            yield
        finally:
            self._is_away = False

    async def run_handlers(
        self, resources: Mapping[str, Any] | None = None, *, scheduled: bool = False
    ) -> list[MemoryTask]:
        """Runs the handlers of the given services for all tasks that wait, and for those that they spawn.

            await gateway.run_handlers()
            assert gateway.tasks[0].state == "completed"

        A handler that raises `PermanentError` fails its task; any other error is raised.

        Args:
            resources: name of a service to what its handlers get as their third argument.
            scheduled: also those that begin later.

        Returns:
            The tasks that were run.
        """
        # Only here: to record what is submitted must not load what runs services.
        from waybill.testing.memory_handlers import run_waiting  # noqa: PLC0415

        return await run_waiting(
            self._store, self._services, resources or {}, self.uploads, scheduled=scheduled
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        request.read()
        if self._is_away:
            raise httpx.ConnectError("the gateway in memory is away", request=request)
        if self._problem is not None:
            return _problem(*self._problem)
        for method, pattern, answer in _ROUTES:
            found = re.fullmatch(pattern, request.url.path)
            if request.method == method and found is not None:
                try:
                    status, body = answer(self, request, *found.groups())
                except RefusedSubmission as refused:
                    return _problem(refused.status, refused.code, refused.detail, refused.errors)
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                return httpx.Response(status, content=content)
        raise AssertionError(f"a MemoryGateway does not answer {request.method} {request.url.path}")

    def _submit(self, request: httpx.Request) -> _Answer:
        posted = json.loads(request.content)
        return 202, self._store.accept(posted, request.headers.get("idempotency-key")).accepted()

    def _submit_many(self, request: httpx.Request) -> _Answer:
        posted, key = json.loads(request.content)["tasks"], request.headers.get("idempotency-key")
        return 202, {"tasks": [task.accepted() for task in self._store.accept_together(posted, key)]}

    def _list(self, request: httpx.Request) -> _Answer:
        asked = dict(request.url.params)
        limit, start = int(asked.pop("limit", 50)), int(asked.pop("cursor", 0))
        found = [
            task.view()
            for task in reversed(self.tasks)
            if asked.get("kind") in {None, task.kind}
            and asked.get("state") in {None, task.state}
            and asked.get("parent") in {None, task.parent and task.parent.id}
        ]
        if unknown := asked.keys() - _FILTERS:
            raise AssertionError(f"a MemoryGateway does not filter by {', '.join(sorted(unknown))}")
        end = start + limit
        return 200, {"items": found[start:end], "next_cursor": str(end) if end < len(found) else None}

    def _get(self, request: httpx.Request, task_id: str) -> _Answer:
        task = self._store.named(task_id)
        if "wait" in request.url.params and not task.is_ended:
            raise AssertionError(f"nothing ends the task {task.kind}: call run_handlers() before you wait")
        return 200, task.view()

    def _timeline(self, _request: httpx.Request, task_id: str) -> _Answer:
        return 200, self._store.named(task_id).timeline()

    def _cancel(self, _request: httpx.Request, task_id: str) -> _Answer:
        return 200, self._store.cancel(task_id)

    def _upload(self, request: httpx.Request) -> _Answer:
        stored = self._store.upload(
            request.content, request.headers["content-type"], request.url.params.get("name")
        )
        self.uploads[stored["key"]] = request.content
        return 201, stored

    def _files(self, _request: httpx.Request, task_id: str) -> _Answer:
        return 200, {"items": self._store.named(task_id).listed_files()}

    def _file(self, _request: httpx.Request, task_id: str, name: str) -> _Answer:
        return 200, self._store.named(task_id).content_of(name)


def _problem(status: int, code: str, detail: str, errors: Any = ()) -> httpx.Response:
    document = {"type": f"urn:waybill:problem:{code}", "title": code, "status": status, "detail": detail}
    return httpx.Response(status, json=document | ({"errors": list(errors)} if errors else {}))


#: Of a listing.
_FILTERS: Final = frozenset({"kind", "state", "parent"})
#: Method, path, and what answers.
_ROUTES: Final[tuple[tuple[str, str, Callable[..., _Answer]], ...]] = (
    ("POST", "/v1/tasks", MemoryGateway._submit),  # noqa: SLF001 - its own
    ("POST", "/v1/tasks/bulk", MemoryGateway._submit_many),  # noqa: SLF001
    ("GET", "/v1/tasks", MemoryGateway._list),  # noqa: SLF001
    ("GET", "/v1/tasks/([^/]+)", MemoryGateway._get),  # noqa: SLF001
    ("GET", "/v1/tasks/([^/]+)/timeline", MemoryGateway._timeline),  # noqa: SLF001
    ("POST", "/v1/tasks/([^/]+)/cancel", MemoryGateway._cancel),  # noqa: SLF001
    ("POST", "/v1/files", MemoryGateway._upload),  # noqa: SLF001
    ("GET", "/v1/tasks/([^/]+)/files", MemoryGateway._files),  # noqa: SLF001
    ("GET", "/v1/tasks/([^/]+)/files/([^/]+)", MemoryGateway._file),  # noqa: SLF001
)
