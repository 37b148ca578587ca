"""Functions whose tasks are submitted, scheduled, and run here and at once."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from clients_under_test import Scripted, scripted
from invoice_service import remind as with_resources
from pydantic import ValidationError
from reminders import archive, draw, register, remind, tell
from sqlalchemy import MetaData, create_engine, func, select
from sqlalchemy.orm import Session

from waybill import AsyncClient, Client, DefinitionError, HandlerTask, default_client, outbox
from waybill.client import AsyncSchedules, Schedule, Schedules
from waybill.submitting.clients import sync_client
from waybill_testkit.gateway.served import Served


@pytest.fixture
def reminders(gateway: Served) -> Served:
    """A real gateway that knows the kinds."""
    return register(gateway)


@pytest.fixture
def client(reminders: Served) -> Iterator[Client]:
    with Client(reminders.url) as made:
        yield made


def test_a_task_is_accepted_when_submit_returns(client: Client) -> None:
    with default_client(client):
        accepted = remind.submit("ann@example.com", days=7)

    task = client.get(accepted.id)
    assert (task.kind, task.state) == ("reminders.remind", "pending")


async def test_async_code_submits_with_asubmit(reminders: Served) -> None:
    async with AsyncClient(reminders.url) as client:
        with default_client(client):
            accepted = await archive.asubmit("2026-01", pages=(1, 2))
        assert (await client.get(accepted.id)).kind == "reminders.archive"


def test_options_of_a_task(client: Client) -> None:
    later = remind.using(client=client, delay_seconds=60, priority="high").using(key="ann-7")
    first, again = later.submit("ann@example.com"), later.submit("ann@example.com")

    assert first.id == again.id
    task = client.get(first.id)
    assert (task.state, task.priority) == ("scheduled", "high")


def test_many_tasks_are_submitted_together(client: Client) -> None:
    given = [remind.submission("ann@example.com"), remind.using(key="ben").submission("ben@example.com")]

    assert {task.kind for task in client.submit_many(given)} == {"reminders.remind"}
    assert len(list(client.list(kind="reminders.remind"))) == 2


def test_the_latest_default_client_counts_and_only_within_its_block() -> None:
    with scripted([Scripted()]) as near, scripted([Scripted()]) as far:
        with Client(near.url) as first, Client(far.url) as second, default_client(first):
            with default_client(second):
                archive.submit("2026-01")
            archive.submit("2026-02")
        assert (len(near.received), len(far.received)) == (1, 1)


def test_without_a_client_the_environment_names_the_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted([Scripted()]) as named:
        monkeypatch.setenv("WAYBILL_URL", named.url)
        monkeypatch.setattr("waybill.submitting.clients._from_environment", None)
        archive.submit("2026-01")
        sent_by = sync_client()
        asyncio.run(archive.asubmit("2026-02"))

        assert sync_client() is sent_by
        assert len(named.received) == 2
        assert named.received[0].document["data"] == {"month": "2026-01"}
        sent_by.close()


def test_a_forked_process_has_a_client_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYBILL_URL", "http://127.0.0.1:1")
    monkeypatch.setattr("waybill.submitting.clients._from_environment", None)
    parents = sync_client()
    child = os.fork()
    if child == 0:
        os._exit(sync_client() is parents)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    parents.close()


def test_no_client_and_no_gateway_in_the_environment_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAYBILL_URL", raising=False)
    monkeypatch.setattr("waybill.submitting.clients._from_environment", None)
    with pytest.raises(ValueError, match="WAYBILL_URL"):
        archive.submit("2026-01")


async def test_a_client_of_the_other_sort_is_refused() -> None:
    async with AsyncClient("http://127.0.0.1:1") as client:
        with pytest.raises(TypeError, match=r"asubmit\(…\)"):
            archive.using(client=client).submit("2026-01")
    with Client("http://127.0.0.1:1") as plain, pytest.raises(TypeError, match=r"submit\(…\)"):
        await archive.using(client=plain).asubmit("2026-01")
    with pytest.raises(TypeError, match="one client"):
        archive.using(client=plain).submission("2026-01")


def test_a_schedule_is_created_once_and_then_changed(client: Client) -> None:
    tell_all = remind.using(client=client)
    first = tell_all.schedule("mondays", remind.event("ann@example.com"), cron="0 9 * * MON")
    again = tell_all.schedule("mondays", remind.event("ann@example.com", days=7), cron="0 8 * * MON")

    assert (again.id, again.kind, again.cron) == (first.id, "reminders.remind", "0 8 * * MON")
    assert [each.body["days"] for each in client.schedules.list()] == [7]
    with pytest.raises(TypeError, match="missing a required argument: 'email'"):
        tell_all.schedule("tuesdays", cron="0 9 * * TUE")
    with pytest.raises(ValueError, match=r"mondays makes tasks of the kind reminders\.remind"):
        archive.using(client=client).schedule("mondays", archive.event("2026-01"), cron="0 9 * * MON")
    with pytest.raises(TypeError, match="takes its options itself"):
        tell_all.using(priority="low").schedule("tuesdays", cron="0 9 * * TUE")


def after_the_first_look(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Has each thread do something between its first look for a schedule and what it does then."""
    seen = threading.local()
    list_ = Schedules.list

    def listed(self: Schedules, **filters: Any) -> Iterator[Schedule]:
        found = [*list_(self, **filters)]
        if not hasattr(seen, "first"):
            seen.first = True
            do()
        return iter(found)

    monkeypatch.setattr(Schedules, "list", listed)


def test_two_deployments_at_once_make_one_schedule(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    after_the_first_look(monkeypatch, threading.Barrier(2).wait)

    def deploy(days: int) -> Schedule:
        event = remind.event("ann@example.com", days=days)
        return remind.using(client=client).schedule("mondays", event, cron="0 9 * * MON")

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(deploy, (5, 7))

    monkeypatch.undo()
    assert first.id == second.id
    [made] = client.schedules.list()
    assert made.body["days"] in {5, 7}


def test_deployments_at_once_all_change_a_schedule_that_exists(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deploy(days: int) -> Schedule:
        event = remind.event("ann@example.com", days=days)
        return remind.using(client=client).schedule("mondays", event, cron="0 9 * * MON")

    before = deploy(11)
    after_the_first_look(monkeypatch, threading.Barrier(6).wait)
    with ThreadPoolExecutor(6) as pool:
        changed = list(pool.map(deploy, range(12, 18)))

    assert {each.id for each in changed} == {before.id}
    assert [each.body["days"] for each in changed] == list(range(12, 18))


def test_a_schedule_that_is_deleted_meanwhile_is_made_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat = remind.using(client=client)
    before = beat.schedule("beat", remind.event("ann@example.com"), every_seconds=60)
    after_the_first_look(monkeypatch, lambda: client.schedules.delete(before.id))

    after = beat.schedule("beat", remind.event("ann@example.com"), every_seconds=120)
    assert (after.id != before.id, after.every_seconds) == (True, 120)


async def test_async_deployments_at_once_make_one_schedule(
    reminders: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_ = AsyncSchedules.list
    looks: list[list[Schedule]] = []

    async def listed(self: AsyncSchedules, **filters: Any) -> AsyncIterator[Schedule]:
        found = [each async for each in list_(self, **filters)]
        looks.append(found)
        if len(looks) == 1:
            await closing.aschedule("closing", archive.event("2025"), every_seconds=60)
        for each in found:
            yield each

    monkeypatch.setattr(AsyncSchedules, "list", listed)
    async with AsyncClient(reminders.url) as for_asyncio:
        closing = archive.using(client=for_asyncio)
        made = await closing.aschedule("closing", archive.event("2026"), every_seconds=3600)

    assert (made.every_seconds, len(looks)) == (3600, 3)


async def test_async_code_schedules_with_aschedule(reminders: Served) -> None:
    async with AsyncClient(reminders.url) as client:
        yearly = archive.using(client=client)
        first = await yearly.aschedule("closing", archive.event("2026"), every_seconds=3600)
        again = await yearly.aschedule("closing", archive.event("2026"), every_seconds=7200)

    assert (first.id, first.every_seconds, again.every_seconds) == (again.id, 3600, 7200)


def test_wrong_arguments_are_refused_before_anything_is_sent() -> None:
    with scripted([Scripted()]) as gateway, Client(gateway.url) as client, default_client(client):
        with pytest.raises(TypeError, match="missing a required argument: 'email'"):
            remind.submit(days=4)  # type: ignore[call-arg]
        with pytest.raises(ValidationError, match="days"):
            remind.submit("ann@example.com", days="many")  # type: ignore[arg-type]
        assert gateway.received == []


@pytest.mark.parametrize("end", [Session.commit, Session.rollback])
def test_a_task_is_written_into_the_transaction_of_the_application(end: Callable[[Session], None]) -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        table = outbox.add_table(MetaData())
        table.create(connection)
    with Session(engine) as session:
        row = remind.using(order_key="ann", delay_seconds=5).submit_in(session, "ann@example.com")
        end(session)
    with engine.connect() as connection:
        kept = connection.execute(select(func.count()).where(table.c.id == row)).scalar_one()
    assert kept == (end is Session.commit)
    engine.dispose()


def test_what_only_an_outbox_has_is_refused_elsewhere() -> None:
    with pytest.raises(TypeError, match=r"submit_in\(…\)"):
        remind.using(order_key="ann").submit("ann@example.com")
    with Client("http://127.0.0.1:1") as client, pytest.raises(TypeError, match="a relay submits"):
        remind.using(client=client).submit_in(object(), "ann@example.com")


def test_a_plain_function_is_run_here_and_at_once() -> None:
    assert archive.local("2026-01", pages=(1, 2)) == {"month": "2026-01", "pages": (1, 2)}
    with pytest.raises(ValidationError, match="pages"):
        archive.local("2026-01", pages=("one",))  # type: ignore[arg-type]


async def test_a_function_with_an_attempt_is_run_here_and_at_once() -> None:
    assert await remind.local("ann@example.com") == {"days": 3, "letters": 15}
    told, drawn = await tell.local("hello"), draw.local("hello")
    assert told["attempt"] == drawn["attempt"] == 1
    assert told["id"] == drawn["id"]


async def test_a_function_with_resources_is_run_by_the_test_kit() -> None:
    with pytest.raises(DefinitionError, match=r"run_handler\(service, task.event\(…\), resources=…\)"):
        await with_resources.local("ann@example.com")


def test_a_task_shows_what_its_function_is() -> None:
    assert isinstance(remind, HandlerTask)
    assert (remind.kind, remind.__doc__) == (
        "reminders.remind",
        "Reminds a customer of an unpaid invoice.",
    )
