"""The clients have a method for each route of tasks, and a name for each field of an answer."""

import asyncio
import inspect
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from pydantic import BaseModel

from waybill import AsyncClient, Client, answers
from waybill.client import ScheduleTiming, SubmitOptions, TaskFilters
from waybill.problems import ClientError
from waybill_contracts.files import FileRef

ROOT: Final = Path(__file__).resolve().parents[2]
ID: Final = "01a22a70-ebad-7341-b3c3-5bd5253e4852"
OPERATOR: Final = "for operators: `client.call`, and the command"
DEPLOYMENT: Final = "a step of a deployment: `waybill services`, and the command"
EVENT: Final = "`submit` with the event or its kind does it"
PROBE: Final = "for those who run the gateway"
STREAM: Final = "for browsers"

#: Routes without a method of their own, by the beginning of the path, and why.
WITHOUT_METHOD: Final = {
    "POST /v1/emails": EVENT,
    "POST /v1/users": EVENT,
    "POST /v1/syncs": EVENT,
    "POST /v1/password-resets": EVENT,
    "POST /v1/prunings": OPERATOR,
    "POST /v1/persons/lookups": OPERATOR,
    "POST /v1/persons/erasures": OPERATOR,
    "POST /v1/erasures": OPERATOR,
    "* /v1/dead-letters*": OPERATOR,
    "* /v1/redrives*": OPERATOR,
    "GET /v1/audit": OPERATOR,
    "GET /v1/contracts/waiting": OPERATOR,
    "POST /v1/tasks/{task_id}/reveal": OPERATOR,
    "POST /v1/schedules/{schedule_id}/reveal": OPERATOR,
    "* /v1/keys*": OPERATOR,
    "* /v1/services*": DEPLOYMENT,
    "GET /v1/watch/*": STREAM,
    "GET /": PROBE,
    "GET /healthz": PROBE,
    "GET /startupz": PROBE,
    "GET /readyz": PROBE,
    "GET /metrics": PROBE,
    "GET /asyncapi.json": PROBE,
}
#: A use of each method.
USES: Final[dict[str, Callable[[Any], Any]]] = {
    "submit": lambda client: client.submit("order.placed", {}),
    "submit_many": lambda client: client.submit_many([an_event()]),
    "submit_image": lambda client: client.submit_image(b"picture", ["thumb"]),
    "get": lambda client: client.get(ID),
    "wait": lambda client: client.wait(ID),
    "events": lambda client: client.events(ID),
    "events of all": lambda client: client.events(),
    "list": lambda client: client.list(),
    "timeline": lambda client: client.timeline(ID),
    "cancel": lambda client: client.cancel(ID),
    "upload": lambda client: client.upload(b"scan"),
    "files": lambda client: client.files(ID),
    "download": lambda client: client.download(ID, "invoice.pdf", BytesIO()),
    "download_variant": lambda client: client.download_variant(ID, "thumb", BytesIO()),
    "redeem_password_reset": lambda client: client.redeem_password_reset("token"),
    "kinds": lambda client: client.kinds(),
    "kind": lambda client: client.kind("order.placed"),
    "account": lambda client: client.account(),
    "stats": lambda client: client.stats(),
    "call": lambda client: client.call("GET", "/healthz"),
    "lines": lambda client: client.lines("/v1/dead-letters/export"),
    "schedules.create": lambda client: client.schedules.create("daily", "order.placed", {}, cron="@daily"),
    "schedules.get": lambda client: client.schedules.get(ID),
    "schedules.list": lambda client: client.schedules.list(),
    "schedules.change": lambda client: client.schedules.change(ID, paused=True),
    "schedules.run": lambda client: client.schedules.run(ID),
    "schedules.delete": lambda client: client.schedules.delete(ID),
}
#: Schema of an answer to its model.
MODELS: Final[dict[str, type[BaseModel]]] = {
    "AcceptedTask": answers.AcceptedTask,
    "AcceptedTasks": answers.AcceptedTasks,
    "AccountView": answers.Account,
    "CancelledTask": answers.Cancellation,
    "ContractView": answers.Contract,
    "Counts": answers.Counts,
    "FileLinks": answers.FileLinks,
    "FileRef": FileRef,
    "FindingView": answers.Finding,
    "HandlerView": answers.Handler,
    "KindDetails": answers.KindDetails,
    "KindLinks": answers.KindLinks,
    "KindPageView": answers.Page,
    "KindView": answers.Kind,
    "Links": answers.Links,
    "NowStats": answers.NowStats,
    "OpenStats": answers.OpenStats,
    "ParentView": answers.Parent,
    "Percentiles": answers.Percentiles,
    "Policy": answers.HandlerPolicy,
    "QueueStatsView": answers.QueueStats,
    "RedeemedPasswordReset": answers.RedeemedPasswordReset,
    "ScheduleDetails": answers.ScheduleDetails,
    "ScheduleLinks": answers.ScheduleLinks,
    "SchedulePageView": answers.Page,
    "ScheduleView": answers.Schedule,
    "ServiceStats": answers.ServiceStats,
    "SlotTaskView": answers.SlotTask,
    "SlotView": answers.Slot,
    "StatsView": answers.Stats,
    "StepStats": answers.StepStats,
    "SubtaskView": answers.Subtask,
    "TaskFile": answers.TaskFile,
    "TaskFiles": answers.TaskFiles,
    "TaskPage": answers.Page,
    "TaskStats": answers.TaskStats,
    "TaskView": answers.Task,
    "TimelineEventView": answers.TimelineEvent,
    "TimelineView": answers.Timeline,
    "UnplacedPage": answers.Unplaced,
    "UnplacedTask": answers.UnplacedTask,
    "waybill_gateway__tasks__models__ProgressView": answers.Progress,
}


def an_event() -> Any:
    from waybill.kinds import UserCreated  # noqa: PLC0415 - any event

    return UserCreated(user_id="7", email="ada@example.com", name="Ada")


@cache
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "docs" / "openapi.json").read_text())
    return found


def operations() -> dict[str, dict[str, Any]]:
    """Method and path to the operation."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
    }


def operation_of(request: httpx.Request) -> str:
    path = request.url.path
    fitting = [
        name
        for name in operations()
        if name.partition(" ")[0] == request.method
        and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", name.partition(" ")[2]), path)
    ]
    # `/v1/tasks/bulk` before `/v1/tasks/{task_id}`.
    return min(fitting, key=lambda name: name.count("{"))


def asked(use: Callable[[Any], Any]) -> set[str]:
    """The operations that both clients call, who find nothing there."""
    seen: set[str] = set()

    def refuse(request: httpx.Request) -> httpx.Response:
        seen.add(operation_of(request))
        problem = {"type": "urn:waybill:problem:not_found", "title": "", "status": 404, "detail": ""}
        return httpx.Response(404, json=problem)

    async def once() -> None:
        async with AsyncClient("http://gateway", transport=httpx.MockTransport(refuse)) as client:
            answer = use(client)
            if isinstance(answer, AsyncIterator):
                answer = anext(answer)
            with pytest.raises(ClientError):
                await answer

    asyncio.run(once())
    by_async = set(seen)
    seen.clear()

    def first(client: Client) -> None:
        answer = use(client)
        if isinstance(answer, Iterator):
            next(answer)

    with (
        Client("http://gateway", transport=httpx.MockTransport(refuse)) as client,
        pytest.raises(ClientError),
    ):
        first(client)
    assert seen == by_async
    return seen


def covered() -> dict[str, dict[str, Any]]:
    called = {name for use in USES.values() for name in asked(use)}
    return {name: operation for name, operation in operations().items() if name in called}


def is_excepted(name: str) -> bool:
    method, _, path = name.partition(" ")
    return any(
        exception.partition(" ")[0] in {method, "*"}
        and re.fullmatch(re.escape(exception.partition(" ")[2]).replace(r"\*", ".*"), path)
        for exception in WITHOUT_METHOD
    )


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_each_method_is_used_here(client: type) -> None:
    methods = {name for name, _ in inspect.getmembers(client, inspect.isfunction) if name[0] != "_"}
    assert methods - {"close"} == {name.partition(" ")[0] for name in USES if "." not in name}


def test_no_route_is_without_a_method_or_a_reason() -> None:
    called = covered()
    missing = [name for name in operations() if name not in called and not is_excepted(name)]
    assert missing == []


def test_no_exception_is_needless() -> None:
    called = covered().keys() - {"GET /healthz", "GET /v1/dead-letters/export"}
    assert [name for name in called if is_excepted(name)] == []


def schemas_of_answers() -> Iterator[str]:
    """Names of the schemas of all answers that the clients read, and of what is in them."""
    waiting = [
        content["schema"]
        for name, operation in covered().items()
        if not is_excepted(name)
        for status, response in operation["responses"].items()
        if status.startswith("2")
        for content in response.get("content", {}).values()
    ]
    seen: set[str] = set()
    while waiting:
        for found in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(waiting.pop())):
            if found not in seen:
                seen.add(found)
                waiting.append(document()["components"]["schemas"][found])
    yield from sorted(seen)


def test_each_field_of_an_answer_has_a_name_in_its_model() -> None:
    schemas = document()["components"]["schemas"]
    differences = {
        name: fields_of(name) ^ schemas[name]["properties"].keys()
        for name in schemas_of_answers()
        if "enum" not in schemas[name] and fields_of(name) != schemas[name]["properties"].keys()
    }
    assert differences == {}


def fields_of(schema: str) -> set[str]:
    """Names of the fields of the model of a schema; none: it has no model."""
    return set(MODELS[schema].model_fields) if schema in MODELS else set()


def test_each_filter_and_option_can_be_given() -> None:
    schemas = document()["components"]["schemas"]
    filters = {each["name"] for each in operations()["GET /v1/tasks"]["parameters"]}
    timing = schemas["PostSchedule"]["properties"].keys()
    task = schemas["EmailRequestedV1BulkTask"]["properties"].keys()

    assert filters == set(TaskFilters.__annotations__) | {"limit", "cursor"}
    assert timing == set(ScheduleTiming.__annotations__) | {"name", "kind", "body"}
    assert task - {"kind", "data", "idempotency_key"} <= set(SubmitOptions.__annotations__)
