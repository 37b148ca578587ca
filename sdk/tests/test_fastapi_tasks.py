"""Durable background tasks in a FastAPI application: what is accepted when, and what its callers get."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Annotated, Any

import httpx
import pytest
from clients_under_test import Scripted, ScriptedGateway, problem, scripted
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import ResponseValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from reminders import archive, register, remind

from waybill import AsyncClient, Client
from waybill.fastapi import BackgroundTasks, Waybill
from waybill.kinds import EmailRequested
from waybill_testkit.gateway.served import Served, listening

ACCEPTED = Scripted(body={"tasks": []})
DOWN = problem(503, "ledger-unavailable", headers={"Retry-After": "7"})


def application(url: str, **options: Any) -> FastAPI:
    app = telling()
    Waybill(app, client=partial(AsyncClient, url, **{"deadline": 0.5} | options))
    return app


def telling(**options: Any) -> FastAPI:
    """An application that tells what its endpoints raise."""

    async def told(_: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse(f"{type(error).__name__}: {error}", 500)

    app = FastAPI(**options)
    for raised in (TypeError, RuntimeError, KeyError, ResponseValidationError):
        app.add_exception_handler(raised, told)
    return app


@contextmanager
def serving(app: FastAPI) -> Iterator[httpx.Client]:
    """A browser before an application that is served."""
    with listening(app) as url, httpx.Client(base_url=url) as browser:
        yield browser


def test_what_an_endpoint_adds_is_accepted_before_its_response(gateway: Served) -> None:
    register(gateway)
    app = application(gateway.url)

    @app.post("/orders/{order_id}")
    async def order(order_id: str, email: str, tasks: BackgroundTasks) -> dict[str, str]:
        tasks.add_task(remind, email, days=7)
        tasks.add_task(archive.using(delay_seconds=60, key=order_id), month="2026-01")
        tasks.add_task(EmailRequested, to=email, subject="Your order", text="It is on its way.")
        return {"order": order_id}

    with serving(app) as browser:
        answer = browser.post("/orders/17", params={"email": "ann@example.com"})
    with Client(gateway.url) as client:
        tasks = {task.kind: task.state for task in client.list()}

    assert (answer.status_code, answer.json()) == (200, {"order": "17"})
    assert tasks == {
        "reminders.remind": "pending",
        "reminders.archive": "scheduled",
        "email.requested": "pending",
    }


def test_all_tasks_of_a_request_are_one_call() -> None:
    with scripted([ACCEPTED]) as gateway:
        app = application(gateway.url)

        async def audit(tasks: BackgroundTasks) -> None:
            tasks.add_task(archive, "2026-01")

        @app.post("/", dependencies=[Depends(audit)])
        def plain(tasks: BackgroundTasks) -> None:
            for days in (1, 2):
                tasks.add_task(remind, "ann@example.com", days)

        @app.get("/")
        async def nothing(tasks: BackgroundTasks) -> None:
            del tasks

        with serving(app) as browser:
            assert browser.post("/").status_code == 200
            assert browser.get("/").status_code == 200

    (call,) = gateway.received
    assert call.path == "/v1/tasks/bulk"
    assert [task["kind"] for task in call.document["tasks"]] == [
        "reminders.archive",
        "reminders.remind",
        "reminders.remind",
    ]


@pytest.mark.parametrize(
    ("answer", "retry_after"),
    [
        (DOWN, "7"),
        (Scripted(cut=True), "1"),
        (
            problem(422, "invalid-data", errors=[{"field": "/tasks/0/data/email", "message": "is not good"}]),
            None,
        ),
        (problem(401, "key-unknown"), None),
        (Scripted(500, b"<html>"), "1"),
    ],
    ids=["away", "cut", "invalid", "unknown key", "no gateway"],
)
def test_what_is_not_known_to_be_accepted_is_a_503(answer: Scripted, retry_after: str | None) -> None:
    with scripted([answer]) as gateway, serving(adding(gateway)) as browser:
        told = browser.post("/")

    assert told.status_code == 503
    assert told.headers["content-type"] == "application/problem+json"
    assert told.headers.get("retry-after") == retry_after
    assert told.json() == {
        "type": "urn:waybill:problem:tasks-not-accepted",
        "title": "The background work of this request was not accepted",
        "status": 503,
        "detail": "It is not known to be accepted. Repeat the request later.",
    }


def test_a_gateway_that_comes_back_in_time_is_not_noticed() -> None:
    back = problem(503, "ledger-unavailable", headers={"Retry-After": "0"})
    with scripted([back, ACCEPTED]) as gateway, serving(adding(gateway, deadline=30)) as browser:
        assert browser.post("/").status_code == 200

    first, second = gateway.received
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


def adding(gateway: ScriptedGateway, **options: Any) -> FastAPI:
    app = application(gateway.url, **options)

    @app.post("/")
    async def add(tasks: BackgroundTasks) -> dict[str, bool]:
        tasks.add_task(remind, "ann@example.com")
        return {"done": True}

    return app


def test_an_endpoint_that_raises_submits_nothing() -> None:
    with scripted([ACCEPTED]) as gateway:
        app = application(gateway.url)

        @app.get("/{how}")
        async def fail(how: str, tasks: BackgroundTasks) -> list[int]:
            tasks.add_task(remind, "ann@example.com")
            if how == "refused":
                raise HTTPException(409, "it is gone")
            if how == "broken":
                raise KeyError(how)
            answer: Any = "what its type does not allow"
            return answer  # type: ignore[no-any-return]

        with serving(app) as browser:
            assert browser.get("/refused").status_code == 409
            assert browser.get("/broken").status_code == 500
            assert browser.get("/strange").status_code == 500

    assert gateway.received == []


def test_a_streamed_response_begins_when_its_tasks_are_accepted() -> None:
    sent: list[str] = []
    with scripted([ACCEPTED]) as gateway:
        app = application(gateway.url)

        @app.get("/")
        async def stream(tasks: BackgroundTasks) -> StreamingResponse:
            async def lines() -> AsyncIterator[str]:
                sent.append(f"{len(gateway.received)} calls before the first line")
                yield "one\n"
                with pytest.raises(RuntimeError, match="the response is under way"):
                    tasks.add_task(remind, "ben@example.com")

            tasks.add_task(remind, "ann@example.com")
            return StreamingResponse(lines())

        with serving(app) as browser:
            assert browser.get("/").text == "one\n"

    assert sent == ["1 calls before the first line"]


def test_a_stream_whose_tasks_are_refused_is_never_begun() -> None:
    with scripted([DOWN]) as gateway:
        app = application(gateway.url)

        @app.get("/")
        async def stream(tasks: BackgroundTasks) -> StreamingResponse:
            tasks.add_task(remind, "ann@example.com")
            return StreamingResponse(iter(["a line"]))

        with serving(app) as browser:
            answer = browser.get("/")

    assert (answer.status_code, "a line" in answer.text) == (503, False)


def test_a_response_that_the_endpoint_makes_is_held_back_too() -> None:
    with scripted([DOWN]) as gateway:
        app = application(gateway.url)

        @app.get("/")
        async def made(tasks: BackgroundTasks) -> JSONResponse:
            tasks.add_task(remind, "ann@example.com")
            return JSONResponse({"done": True}, 202)

        with serving(app) as browser:
            assert browser.get("/").status_code == 503


def test_a_transaction_of_the_endpoint_is_undone_with_its_tasks() -> None:
    done: list[str] = []

    async def transaction() -> AsyncIterator[None]:
        try:
            yield
        except BaseException:
            done.append("rolled back")
            raise
        done.append("committed")

    with scripted([DOWN, ACCEPTED]) as gateway:
        app = application(gateway.url)

        @app.post("/")
        async def order(
            _: Annotated[None, Depends(transaction, scope="function")], tasks: BackgroundTasks
        ) -> None:
            tasks.add_task(remind, "ann@example.com")

        with serving(app) as browser:
            assert [browser.post("/").status_code for _ in range(2)] == [503, 200]

    assert done == ["rolled back", "committed"]


def send_reminder(email: str) -> None:
    del email


def test_a_plain_function_is_refused_where_it_is_added() -> None:
    with scripted([ACCEPTED]) as gateway:
        app = application(gateway.url)

        @app.get("/")
        async def add(tasks: BackgroundTasks) -> None:
            plain: Any = send_reminder
            tasks.add_task(plain, "ann@example.com")

        with serving(app) as browser:
            told = browser.get("/").text

    assert told.startswith("TypeError: send_reminder is a plain function")
    assert "write @service.task above it" in told
    assert gateway.received == []


def test_wrong_arguments_are_refused_where_they_are_added() -> None:
    with scripted([ACCEPTED]) as gateway:
        app = application(gateway.url)

        @app.get("/")
        async def add(tasks: BackgroundTasks) -> None:
            tasks.add_task(remind, "ann@example.com", hours=1)  # type: ignore[call-arg]

        with serving(app) as browser:
            assert browser.get("/").text == "TypeError: got an unexpected keyword argument 'hours'"


def test_an_application_without_a_client_says_what_is_missing() -> None:
    app = telling()

    @app.get("/")
    async def add(tasks: BackgroundTasks) -> None:
        del tasks

    with serving(app) as browser:
        assert "call Waybill(app) where the app is made" in browser.get("/").text


def test_the_client_is_open_while_the_application_runs() -> None:
    events: list[str] = []
    with scripted([Scripted()]) as gateway:

        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, str]]:
            events.append((await archive.asubmit("2026-01")).id)
            yield {"shop": "here"}
            events.append((await waybill.client.submit(archive.event("2026-02"))).id)

        app = FastAPI(lifespan=lifespan)
        waybill = Waybill(app, client=partial(AsyncClient, gateway.url))

        @app.get("/")
        async def shop(request: Request) -> str:
            return str(request.state.shop)

        for _ in range(2):
            with serving(app) as browser:
                assert browser.get("/").json() == "here"
            with pytest.raises(RuntimeError, match="does not run"):
                _ = waybill.client
    assert events == ["1"] * 4
