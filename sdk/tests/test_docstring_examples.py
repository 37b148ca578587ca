"""Each class and function of the public API has an example in its docstring, which works as written.

Those of the clients run in test_client_docstrings.py, those that need
a broker in broker/test_stack_examples.py, those that need PostgreSQL in outbox/test_outbox_direct.py.
"""

import asyncio
import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import django_site
import httpx
import pytest
from docstring_examples import (
    documented,
    example_in,
    executed,
    has_a_code,
    is_code,
    module_of,
    names_of,
    public_modules,
)
from example_application import (
    FUNCTIONS,
    LETTERS,
    Database,
    InvoiceRequested,
    ReportRequested,
    database,
    given,
    mail,
    memory,
    place_order,
    remind,
    shop,
    welcome,
)
from fastapi import FastAPI
from reminders import register_service

from waybill import AsyncClient, Attempt, Client, Service, SyncAttempt, default_client
from waybill.django import WaybillBackend
from waybill.fastapi import BackgroundTasks, Tasks, Waybill
from waybill.problems import ProblemError
from waybill.testing import MemoryGateway, run_handler
from waybill_testkit.gateway.served import listening, served

__all__ = ["database", "given", "memory"]

#: Django must be configured before its part of the API is read.
SITE: Final = django_site
#: Examples that run elsewhere, each with what it needs.
OF_CLIENTS: Final = (
    "waybill.client",
    "waybill.problems",
    "waybill.Client",
    "waybill.AsyncClient",
    "waybill.Submission",
)
WITH_A_BROKER: Final = ("waybill.testing.Stack", "waybill.testing.plugin.waybill_stack")
WITH_POSTGRESQL: Final = ("waybill.outbox.direct",)
#: Docstrings of events are part of their contracts: the module has their examples.
IN_THEIR_MODULE: Final = ("waybill.kinds.", "waybill.FileRef")
ALL: Final = documented()
HERE: Final = [
    name
    for name, each in ALL.items()
    if not name.startswith((*OF_CLIENTS, *WITH_A_BROKER, *WITH_POSTGRESQL, *IN_THEIR_MODULE))
    and not has_a_code(each)
]


def test_each_public_name_has_an_example() -> None:
    modules = {module.__name__: example_in(module) or "" for module in public_modules()}
    without = [
        name
        for name, each in ALL.items()
        if not has_a_code(each)
        and example_in(each) is None
        and not (
            name.startswith(IN_THEIR_MODULE) and name.rpartition(".")[2] in modules[name.rpartition(".")[0]]
        )
    ]
    assert without == []
    assert len(HERE) > 60


def test_a_sentence_is_no_example() -> None:
    def documented_in_words() -> None:
        """Does nothing.

        See `Client.get`.

            This is indented, and no code.
        """

    assert example_in(documented_in_words) is None
    assert not is_code("It is kept.")


@pytest.mark.parametrize(
    "problem", [each for each in ALL.values() if has_a_code(each)], ids=lambda each: each.__name__
)
def test_the_example_of_problems_works_with_each_of_them(problem: type[ProblemError]) -> None:
    example = example_in(ProblemError)
    assert example is not None
    shown: list[Any] = []
    gateway = MemoryGateway()
    with gateway.client(deadline=0) as client, gateway.refusing(problem.code):
        given = {"client": client, "event": mail(), "InvalidDataError": problem, "print": shown.append}
        exec(example, given)
    assert shown == [()]


_FIXTURES: Final = ("waybill_memory", "waybill_stack")


async def run(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Runs an example, and the tests that it defines; gives what it leaves."""
    text = example_in(ALL[name]) or ""
    # The gateway of the fixture, and not the fixture.
    given |= {each: value for each, value in names_of(module_of(name)).items() if each not in _FIXTURES}
    await executed(text.replace('"wb_…"', '"wb_1"'), name, given)
    for test in [value for each, value in given.items() if each.startswith("test_")]:
        returned = test(**{each: given[each] for each in inspect.signature(test).parameters})
        if inspect.isawaitable(returned):
            await returned
    return given


#: What has happened before an example of the gateway in memory.
BEFORE: Final[dict[str, Callable[[], object]]] = {
    "events": lambda: welcome("ann@example.com"),
    "tasks": lambda: place_order("17"),
    "run_handlers": lambda: remind.submit("ann@example.com"),
}


@pytest.mark.parametrize("name", [each for each in HERE if ".testing" in each])
async def test_an_example_for_tests_works(name: str, given: dict[str, Any]) -> None:
    BEFORE.get(name.rpartition(".")[2], lambda: None)()
    given["service"] = shop()
    given["run"] = await run_handler(given["service"], InvoiceRequested(order_id="17"))
    await run(name, given)


IN_A_HANDLER: Final = ("waybill.Attempt.", "waybill.SyncAttempt.", "waybill.HandlerTask.event")


@pytest.mark.parametrize("name", [each for each in HERE if each.startswith(IN_A_HANDLER)])
async def test_an_example_of_an_attempt_works(name: str, given: dict[str, Any]) -> None:
    service = Service("example")
    answers = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200)))

    if "Sync" in name:

        @service.handles(ReportRequested)
        def plain(event: ReportRequested, attempt: SyncAttempt) -> None:
            asyncio.run(run(name, given | {"attempt": attempt, "event": event}))
    else:

        @service.handles(ReportRequested)
        async def for_asyncio(event: ReportRequested, attempt: Attempt) -> None:
            more = {"client": answers, "url": "http://crm/records/7", "record": {}}
            await run(name, given | {"attempt": attempt, "event": event} | more)

    async with answers:
        await run_handler(service, ReportRequested())


@pytest.mark.parametrize("name", [each for each in HERE if each.startswith("waybill.outbox")])
async def test_an_example_of_the_outbox_works(name: str, given: dict[str, Any], database: Database) -> None:
    if not name.endswith(("add_table", "create_table")):
        database.with_outbox()
    left = await run(name, given)
    if name.endswith("create_table"):
        assert "waybill_outbox" in database.migrated(left["upgrade"])
    elif name.endswith("drop_table"):
        assert "waybill_outbox" not in database.migrated(left["downgrade"])
    elif name.endswith(".run"):
        async with left["lifespan"](FastAPI()):
            pass


def ordered(url: str) -> httpx.Response:
    return httpx.post(f"{url}/orders/17", params={"email": "ann@example.com"})


@pytest.mark.parametrize("name", [each for each in HERE if each.startswith("waybill.fastapi")])
async def test_an_example_for_fastapi_works(name: str, given: dict[str, Any], memory: MemoryGateway) -> None:
    app = given["app"] = FastAPI()
    Waybill(app, client=partial(AsyncClient, deadline=0))
    tasks = given["tasks"] = Tasks()
    left = await run(name, given)
    async with AsyncClient() as client:
        await tasks.submit_to(client)
    used: FastAPI = left["app"]
    if name.endswith("NotAcceptedError"):

        @used.post("/orders/{order_id}")
        async def order(order_id: str, email: str, tasks: BackgroundTasks) -> str:
            tasks.add_task(remind, email)
            return order_id

        with memory.away(), listening(used) as url:
            answer = await asyncio.to_thread(ordered, url)
        assert (answer.status_code, answer.text[:17]) == (503, "Please try again:")
    elif [route for route in used.routes if getattr(route, "path", "").startswith("/orders")]:
        with listening(used) as url:
            answer = await asyncio.to_thread(ordered, url)
        assert answer.json() == {"order": "17"}
        assert memory.tasks != []


@pytest.mark.parametrize("name", [each for each in HERE if each.startswith("waybill.django")])
async def test_an_example_for_django_works(name: str, given: dict[str, Any]) -> None:
    params = {"QUEUES": ["default"], "OPTIONS": {}} | (await run(name, given))["TASKS"]["default"]
    assert WaybillBackend("default", params).check() == []


DONE: Final = ("waybill.testing", *IN_A_HANDLER, "waybill.outbox", "waybill.fastapi", "waybill.django")


@pytest.mark.parametrize(
    "name", [each for each in HERE if not each.startswith(DONE) and "schedule" not in each]
)
async def test_an_example_works(name: str, given: dict[str, Any], database: Database) -> None:
    database.with_outbox()
    if name.endswith("manifest"):
        given["service"] = shop()
    if (example_in(ALL[name]) or "").startswith("raise "):
        with pytest.raises(ALL[name]):
            await run(name, given)
    else:
        await run(name, given)


@pytest.mark.parametrize("name", [each for each in HERE if "schedule" in each])
async def test_an_example_of_a_schedule_works(name: str, tmp_path: Path) -> None:
    with served(tmp_path) as gateway:
        register_service(gateway, LETTERS)
        with Client(gateway.url) as client, default_client(client):
            async with AsyncClient(gateway.url) as for_asyncio:
                with default_client(for_asyncio):
                    await run(name, dict(FUNCTIONS))
