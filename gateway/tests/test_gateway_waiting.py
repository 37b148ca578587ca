"""`GET /v1/tasks/{id}?wait=`: answered as soon as the task has ended, by one reader for all who wait."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from time import monotonic

import httpx
import pytest
from keys_under_test import key_in
from sqlalchemy import Connection, Engine, event

from waybill_contracts.wire.lifecycle import LifecycleEvent, LifecycleType
from waybill_ledger import Scope, apply_events
from waybill_ledger.following import Follower, Look
from waybill_testkit.eventually import eventually
from waybill_testkit.gateway.in_process import EMAIL, Gateway, problem, running
from waybill_testkit.samples import reported

#: Seconds that no test lasts, so that an answer within them was woken.
LONG = 60


async def accepted(gateway: Gateway, **headers: str) -> str:
    task_id: str = (await gateway.client.post("/v1/emails", json=EMAIL, headers=headers)).json()["id"]
    return task_id


async def happened(gateway: Gateway, *events: LifecycleEvent) -> None:
    def apply(connection: Connection, batches: Sequence[tuple[LifecycleEvent, ...]]) -> list[None]:
        apply_events(connection, [event for batch in batches for event in batch])
        return [None] * len(batches)

    await gateway.resources.records.write(apply, events)


def done(task_id: str) -> LifecycleEvent:
    return reported(LifecycleType.COMPLETED, task_id, result={"sent": True})


def watchers(gateway: Gateway) -> int:
    watched = gateway.app.state.registry.get_sample_value("waybill_watchers", {"watched": "end"})
    return int(watched or 0)


@asynccontextmanager
async def waiting(
    gateway: Gateway, *task_ids: str, seconds: float = LONG, **headers: str
) -> AsyncIterator[list[asyncio.Task[httpx.Response]]]:
    """Callers that wait for these tasks, from when all of them do."""
    asked = [
        asyncio.create_task(
            gateway.client.get(f"/v1/tasks/{task_id}", params={"wait": seconds}, headers=headers)
        )
        for task_id in task_ids
    ]
    await eventually(lambda: watchers(gateway) == len(asked), 20)
    yield asked
    await asyncio.gather(*asked)


async def test_a_waiting_caller_is_answered_when_the_task_ends(gateway: Gateway) -> None:
    task_id = await accepted(gateway)
    async with waiting(gateway, task_id, task_id) as asked:
        await happened(gateway, reported(LifecycleType.STARTED, task_id))
        await happened(gateway, done(task_id))
        answers = await asyncio.wait_for(asyncio.gather(*asked), 10)

    assert [answer.json()["state"] for answer in answers] == ["completed"] * 2
    assert answers[0].json()["subtasks"][0]["result"] == {"sent": True}
    assert watchers(gateway) == 0


async def test_a_task_that_has_ended_is_answered_at_once(gateway: Gateway) -> None:
    task_id = await accepted(gateway)
    await happened(gateway, done(task_id))
    began = monotonic()
    answer = await gateway.client.get(f"/v1/tasks/{task_id}", params={"wait": LONG})

    assert answer.json()["state"] == "completed"
    assert monotonic() - began < 10


async def test_after_the_time_the_task_is_answered_as_it_is(gateway: Gateway) -> None:
    task_id = await accepted(gateway)
    await happened(gateway, reported(LifecycleType.STARTED, task_id))
    answer = await gateway.client.get(f"/v1/tasks/{task_id}", params={"wait": 0.2})

    assert (answer.status_code, answer.json()["state"]) == (200, "running")


async def test_an_unknown_task_is_answered_at_once_and_a_wait_is_limited(gateway: Gateway) -> None:
    unknown = "00000000-0000-7000-8000-000000000000"
    problem(await gateway.client.get(f"/v1/tasks/{unknown}", params={"wait": LONG}), 404, "no_such_task")
    for wait in ("61", "-1", "nan", "soon"):
        answer = await gateway.client.get(f"/v1/tasks/{unknown}", params={"wait": wait})
        problem(answer, 422, "invalid_request")


async def test_a_waiting_caller_learns_of_a_cancellation(gateway: Gateway) -> None:
    answer = await gateway.post("/v1/emails", EMAIL | {"delay_seconds": 3600})
    task_id = answer.json()["id"]
    async with waiting(gateway, task_id) as asked:
        await gateway.client.post(f"/v1/tasks/{task_id}/cancel")
        assert (await asyncio.wait_for(asked[0], 10)).json()["state"] == "cancelled"


async def test_a_stopping_gateway_answers_all_who_wait(gateway: Gateway) -> None:
    task_id = await accepted(gateway)
    async with waiting(gateway, task_id) as asked:
        gateway.resources.stopping.set()
        assert (await asyncio.wait_for(asked[0], 10)).json()["state"] == "pending"
    later = await asyncio.wait_for(
        gateway.client.get(f"/v1/tasks/{task_id}", params={"wait": LONG}), timeout=10
    )
    assert later.json()["state"] == "pending"


@pytest.mark.parametrize("database_system", ["sqlite"])
async def test_tasks_of_another_tenant_are_missing(tmp_path: Path, ledger_url: str) -> None:
    async with running(tmp_path, ledger_url=ledger_url, gateway_auth="keys") as gateway:
        acme = await key_in(gateway, Scope.READ, Scope.SUBMIT, tenant="acme")
        other = await key_in(gateway, Scope.READ, tenant="other")
        task_id = await accepted(gateway, **acme)
        foreign = await gateway.client.get(f"/v1/tasks/{task_id}", params={"wait": LONG}, headers=other)
        problem(foreign, 404, "no_such_task")
        problem(await gateway.client.get(f"/v1/tasks/{task_id}", params={"wait": 1}), 401, "key_missing")


@pytest.mark.parametrize("database_system", ["sqlite"])
async def test_more_callers_than_the_limit_are_asked_to_come_back(tmp_path: Path, ledger_url: str) -> None:
    async with running(tmp_path, ledger_url=ledger_url, max_watchers=2) as gateway:
        task_id = await accepted(gateway)
        async with waiting(gateway, task_id, task_id):
            surplus = await gateway.client.get(f"/v1/tasks/{task_id}", params={"wait": LONG})
            problem(surplus, 503, "too_many_watchers")
            assert surplus.headers["retry-after"] == "5"
            assert (await gateway.client.get(f"/v1/tasks/{task_id}")).status_code == 200
            await happened(gateway, done(task_id))
        again = await gateway.client.get(f"/v1/tasks/{task_id}", params={"wait": LONG})
        assert again.json()["state"] == "completed"


async def test_statements_do_not_grow_with_those_who_wait(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, many = 5, 200
    looks = counted_looks(monkeypatch)
    tasks = [await accepted(gateway) for _ in range(many)]
    counted: list[int] = []
    for number in (few, many):
        async with waiting(gateway, *tasks[:number]) as asked:
            with statements() as sent:
                # The looks under way and two more, at which nothing has happened to these tasks.
                await happened(gateway, reported(LifecycleType.STARTED, tasks[-1], attempt=number))
                await eventually(partial(have_been, looks, len(looks) + 3))
                await happened(gateway, *map(done, tasks[:number]))
                await asyncio.wait_for(asyncio.gather(*asked), 20)
            counted.append(sum("SELECT" in statement for statement in sent))

    # The writes read, too: all tasks by one statement.
    assert counted[1] <= counted[0] + 20, counted


def counted_looks(monkeypatch: pytest.MonkeyPatch) -> list[Look]:
    """Looks at the ledger from now on, as they end."""
    looks: list[Look] = []
    look = Follower.look

    def counted(follower: Follower, connection: Connection) -> Look:
        looks.append(look(follower, connection))
        return looks[-1]

    monkeypatch.setattr(Follower, "look", counted)
    return looks


def have_been(looks: list[Look], number: int) -> bool:
    return len(looks) >= number


@contextmanager
def statements() -> Iterator[list[str]]:
    """The statements that this process sends to any database during the block."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)
