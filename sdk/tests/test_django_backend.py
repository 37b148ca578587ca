"""The backend of Django's tasks framework: what DEP 14 asks of one, on a real gateway."""

import json
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django_site import SETTINGS, add, fail, look, mail, tasks, told
from reminders import register_service

from waybill import Client, Event, Service, Submission, default_client
from waybill.django import WaybillBackend, worker
from waybill.django.framework import TaskResultDoesNotExist, TaskResultStatus, task_enqueued
from waybill.outbox import schema_sql
from waybill.problems import ClientError
from waybill.testing import MemoryGateway, run_handler
from waybill_contracts.wire import LifecycleType
from waybill_testkit.gateway.served import Served
from waybill_testkit.samples import reported

SITE: Service[None] = vars(worker)["site"]
MAILS: Service[None] = vars(worker)["site-mails"]


@pytest.fixture
def client(gateway: Served) -> Iterator[Client]:
    register_service(gateway, SITE)
    register_service(gateway, MAILS)
    with Client(gateway.url) as made, default_client(made):
        yield made


def test_a_task_is_accepted_when_enqueue_returns(client: Client) -> None:
    heard: list[Any] = []

    def hear(sender: Any, task_result: Any, **_: Any) -> None:
        heard.append((sender, task_result))

    task_enqueued.connect(hear)
    try:
        result = add.enqueue(1, second=2)
    finally:
        task_enqueued.disconnect(hear)

    task = client.get(result.id)
    assert (task.kind, task.about, task.state) == ("site.call", "django_site.add", "pending")
    assert (result.status, result.args, result.kwargs) == (TaskResultStatus.READY, [1], {"second": 2})
    assert (result.backend, result.is_finished, result.attempts) == ("default", False, 0)
    assert heard == [(WaybillBackend, result)]


async def test_async_code_enqueues_too(client: Client) -> None:
    result = await mail.aenqueue("ann@example.com")

    assert client.get(result.id).kind == "site-mails.call"
    assert (await mail.aget_result(result.id)).enqueued_at == result.enqueued_at


def test_priority_and_start_are_those_of_the_task(client: Client) -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    later = client.get(add.using(priority=-7, run_after=at).enqueue(1).id)
    past = client.get(add.using(run_after=at - timedelta(hours=2)).enqueue(1).id)
    urgent = client.get(mail.enqueue("ann@example.com").id)

    assert (later.state, later.priority, later.due_at) == ("scheduled", "low", at)
    assert (past.state, past.priority) == ("pending", "normal")
    assert urgent.priority == "high"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"queue_name": "unknown"}, "unknown"),
        ({"priority": 101}, "priority must be a whole number"),
        ({"run_after": datetime(2030, 1, 1)}, "run_after must be an aware datetime"),  # noqa: DTZ001 - refused
    ],
)
def test_what_the_backend_cannot_run_is_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(Exception, match=why):
        add.using(**changes).enqueue(1)


def test_arguments_are_json() -> None:
    with pytest.raises(TypeError):
        add.enqueue(object())


def test_a_gateway_that_is_away_is_an_error_of_enqueue() -> None:
    with (
        Client("http://127.0.0.1:1", deadline=0.1) as away,
        default_client(away),
        pytest.raises(ClientError),
    ):
        add.enqueue(1)


async def test_a_function_is_run_by_the_service() -> None:
    assert (await run_handler(SITE, call(add, 1, second=2))).result == {"return_value": 3}
    assert (await run_handler(MAILS, call(mail, "ann@example.com"))).result == {
        "return_value": {"to": "ann@example.com"}
    }
    run = await run_handler(SITE, call(look, "here"), attempt=2)
    assert run.result == {"return_value": [2, run.attempt.task_id, "here"]}
    with pytest.raises(LookupError, match="there is no door"):
        await run_handler(SITE, call(fail, "door"))


def call(task: Any, *args: Any, **kwargs: Any) -> Event:
    """The event of a task, which a test would have to catch at the gateway otherwise."""
    made: Event = tasks["default"].event_of(task, args, kwargs)
    return made


@pytest.mark.usefixtures("client")
def test_a_result_tells_what_became_of_a_task(gateway: Served) -> None:
    done, failed = add.enqueue(1, 2), add.enqueue(1)

    def report(type_: LifecycleType, of: Any, **more: Any) -> None:
        gateway.happened(reported(type_, of.id, service="site", kind="site.call", **more))

    report(LifecycleType.STARTED, done)
    running = add.get_result(done.id)
    assert (running.status, running.is_finished, running.attempts) == (TaskResultStatus.RUNNING, False, 1)
    assert running.started_at == running.last_attempted_at

    report(LifecycleType.COMPLETED, done, result={"return_value": 3})
    report(LifecycleType.DEAD, failed, attempt=3)
    done.refresh()
    failed.refresh()

    assert (done.status, done.return_value, done.args) == (TaskResultStatus.SUCCESSFUL, 3, [1, 2])
    assert done.finished_at is not None
    assert (failed.status, failed.is_finished) == (TaskResultStatus.FAILED, True)
    assert [error.traceback for error in failed.errors] != []
    with pytest.raises(ValueError, match="Task failed"):
        _ = failed.return_value


async def test_a_gateway_in_memory_knows_results_too() -> None:
    with MemoryGateway(SITE, MAILS).installed() as memory:
        done = await add.aenqueue(1, 2)
        assert (await add.aget_result(done.id)).status == TaskResultStatus.READY
        await memory.run_handlers()
        result = await add.aget_result(done.id)

    assert (result.status, result.return_value, result.attempts) == (TaskResultStatus.SUCCESSFUL, 3, 1)
    assert result.started_at is not None


def test_a_gateway_in_memory_that_knows_no_services_has_results_that_wait() -> None:
    with MemoryGateway().installed():
        result = add.get_result(add.enqueue(1).id)

    assert (result.status, result.task) == (TaskResultStatus.READY, add)


def test_a_result_that_does_not_exist(client: Client) -> None:
    strange = client.submit("site-mails.call", {"path": "django_site.mail"})
    for unknown in ("123", "01a22a70-ebad-7341-b3c3-5bd5253e4852"):
        with pytest.raises(TaskResultDoesNotExist):
            add.get_result(unknown)
    with pytest.raises(Exception, match="does not match"):
        add.get_result(strange.id)


def test_with_an_outbox_a_task_shares_the_transaction(client: Client) -> None:
    with connection.cursor() as cursor:
        for statement in schema_sql("sqlite").split(";"):
            cursor.execute(statement)
        with transaction.atomic():
            kept = told.enqueue("kept")
        with transaction.atomic():
            told.enqueue("lost")
            transaction.set_rollback(True)
        cursor.execute("SELECT id, kind, data FROM waybill_outbox")
        [(id_, kind, data)] = cursor.fetchall()
        assert (id_, kind) == (kept.id, "site.call")

        waiting = told.get_result(kept.id)
        # As a relay does it.
        [accepted] = client.submit_many([Submission(kind, json.loads(data), key=id_, request_id=id_)])
        cursor.execute("DELETE FROM waybill_outbox")
        with pytest.raises(TaskResultDoesNotExist):
            told.get_result(accepted.id)

    submitted = told.get_result(kept.id)
    for result in (waiting, submitted):
        assert (result.id, result.status, result.task) == (kept.id, TaskResultStatus.READY, told)
        assert result.enqueued_at == kept.enqueued_at


@pytest.mark.usefixtures("client")
def test_a_backend_without_a_list_of_queues_takes_any() -> None:
    params = SETTINGS["TASKS"]["default"] | {"QUEUES": []}
    backend = WaybillBackend("default", params)
    result = backend.enqueue(mail, ["ann@example.com"], {})

    assert backend.get_result(result.id).status == TaskResultStatus.READY


def test_the_settings_are_checked() -> None:
    params = SETTINGS["TASKS"]["default"] | {"OPTIONS": {"SERVICE": "Site!"}}
    (first, _) = WaybillBackend("default", params).check()

    assert "'Site!' is no name of a service" in first.msg
    assert tasks["default"].check() == []


def test_the_services_are_found_again_in_another_process() -> None:
    assert pickle.loads(pickle.dumps(MAILS)) is MAILS
    assert SITE.manifest().handles[0].policy.attempts == 3
