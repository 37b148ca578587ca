"""Durable background tasks for FastAPI: the `add_task` of Starlette, and what was added is accounted for.

    from fastapi import FastAPI
    from waybill.fastapi import BackgroundTasks, Waybill

    app = FastAPI()
    Waybill(app)

    @app.post("/orders/{order_id}")
    async def order(order_id: str, email: str, tasks: BackgroundTasks) -> dict[str, str]:
        tasks.add_task(send_confirmation, order_id, email=email)
        return {"order": order_id}

It needs `pip install waybill[fastapi]`.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final, ParamSpec, overload

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse

from waybill import Event
from waybill.client import AsyncClient, Submission
from waybill.problems import ClientError
from waybill.submitting import Submitter, default_client

log = logging.getLogger(__name__)

#: Parameters of a task.
Q = ParamSpec("Q")
#: Seconds for a submission with all its attempts: somebody waits for the response.
DEADLINE_SECONDS: Final = 10.0
#: Of the state that the lifespan gives to each request.
_STATE: Final = "waybill"
_UNAVAILABLE: Final = 503


class Tasks:
    """The background tasks of one request; an endpoint gets it as `tasks: BackgroundTasks`.

    @app.post("/orders/{order_id}")
    async def order(order_id: str, email: str, tasks: BackgroundTasks) -> dict[str, str]:
        tasks.add_task(remind, email, days=3)
        return {"order": order_id}
    """

    def __init__(self) -> None:
        self._added: list[Submission] = []
        self._is_open = True

    @overload
    def add_task(self, func: Submitter[Q], *args: Q.args, **kwargs: Q.kwargs) -> None: ...

    @overload
    def add_task(self, func: Callable[Q, Event], *args: Q.args, **kwargs: Q.kwargs) -> None: ...

    def add_task(self, func: Any, *args: Any, **kwargs: Any) -> None:
        """Adds a task: it is submitted once the endpoint has returned, before the response is sent.

            tasks.add_task(remind, "ann@example.com", days=7)
            tasks.add_task(remind.using(delay_seconds=3600), "ann@example.com")
            tasks.add_task(EmailRequested, to="ann@example.com", subject="Hello", text="Good morning.")

        All tasks of a request are submitted together, all or none. If that fails, the response is a 503; if
        the endpoint raises, none is submitted.

        Args:
            func: a handler task, which is a function with `@service.task`; or the class of an event.
            args: of the function.
            kwargs: of the function, or the fields of the event.

        Raises:
            TypeError: it is a plain function, or takes no such arguments.
            ValidationError: its contract does not allow them.
            RuntimeError: the response is under way, as in the generator of a streaming response.
        """
        if isinstance(func, Submitter):
            added = func.submission(*args, **kwargs)
        elif isinstance(func, type) and issubclass(func, Event):
            added = Submission(func(*args, **kwargs))
        else:
            name = getattr(func, "__qualname__", repr(func))
            raise TypeError(
                f"{name} is a plain function: its run would be lost with this process. To make it durable, "
                "write @service.task above it; fastapi.BackgroundTasks runs it here."
            )
        if not self._is_open:
            raise RuntimeError("the response is under way: add tasks before the endpoint returns")
        self._added.append(added)

    async def submit_to(self, client: AsyncClient) -> None:
        """Submits what was added; nothing can be added after that.

        Raises:
            NotAcceptedError: it is not known to be accepted.
        """
        self._is_open = False
        if not self._added:
            return
        try:
            await client.submit_many(self._added)
        except ClientError as error:
            raise NotAcceptedError(len(self._added), error) from error


class NotAcceptedError(Exception):
    """The background tasks of a request are not known to be accepted: its response is a 503.

        @app.exception_handler(NotAcceptedError)
        async def say_so(request: Request, error: NotAcceptedError) -> PlainTextResponse:
            return PlainTextResponse(f"Please try again: {error}", 503)

    Args:
        count: how many they are.
        error: why.
    """

    def __init__(self, count: int, error: ClientError) -> None:
        super().__init__(f"{count} background tasks were not accepted: {error}")
        self.error = error


async def _tasks_of(request: Request) -> AsyncIterator[Tasks]:
    client: AsyncClient | None = getattr(request.state, _STATE, None)
    if client is None:
        raise RuntimeError(
            "no Waybill client is open: call Waybill(app) where the app is made, and let its lifespan run "
            "(in tests: with TestClient(app) as client)"
        )
    tasks = Tasks()
    yield tasks
    # Not reached if the endpoint has raised. FastAPI leaves the scope of the function when it has the
    # response, and has sent nothing of it.
    await tasks.submit_to(client)


#: The type of an endpoint's parameter, as `fastapi.BackgroundTasks` is.
BackgroundTasks = Annotated[Tasks, Depends(_tasks_of, scope="function")]


class Waybill:
    """Gives an application a client of Waybill, which is open as long as the application runs.

        app = FastAPI()
        waybill = Waybill(app)

    It is the client of `BackgroundTasks`, and the default of `task.asubmit(…)`.

    Args:
        app: its lifespan, if it has one, runs within that of the client.
        client: makes the client; by default one with the settings of the environment, WAYBILL_URL and
            WAYBILL_API_KEY, and ten seconds for a call with all its attempts.
    """

    def __init__(self, app: FastAPI, *, client: Callable[[], AsyncClient] | None = None) -> None:
        self._make = client or (lambda: AsyncClient(deadline=DEADLINE_SECONDS))
        self._client: AsyncClient | None = None
        inner = app.router.lifespan_context

        @asynccontextmanager
        async def lifespan(running: FastAPI) -> AsyncIterator[dict[str, Any]]:
            async with self._make() as self._client:
                with default_client(self._client):
                    async with inner(running) as state:
                        yield {**(state or {}), _STATE: self._client}
            self._client = None

        app.router.lifespan_context = lifespan
        app.add_exception_handler(NotAcceptedError, _problem)

    @property
    def client(self) -> AsyncClient:
        """The client.

            task = await waybill.client.get(task_id)

        Raises:
            RuntimeError: the application does not run.
        """
        if self._client is None:
            raise RuntimeError("the application does not run, so its client is not open")
        return self._client


def _problem(_request: Request, error: Exception) -> JSONResponse:
    """The response where the tasks of a request are not known to be accepted."""
    cause = error.error if isinstance(error, NotAcceptedError) else None
    log.error("a request is answered with 503: %s: %s", type(cause or error).__name__, error)
    headers = {}
    if cause is not None and cause.is_temporary:
        headers["Retry-After"] = f"{max(1, round(cause.retry_after or 1))}"
    document = {
        "type": "urn:waybill:problem:tasks-not-accepted",
        "title": "The background work of this request was not accepted",
        "status": _UNAVAILABLE,
        "detail": "It is not known to be accepted. Repeat the request later.",
    }
    return JSONResponse(document, _UNAVAILABLE, headers=headers, media_type="application/problem+json")
