"""`GET /v1/stats`: what was counted, what was measured, what is wrong; to each tenant its own."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from keys_under_test import key_in

from waybill_contracts.states import State
from waybill_contracts.wire import LifecycleType
from waybill_ledger import (
    Measurement,
    OpenWork,
    QueueMeasured,
    Scope,
    apply_events,
    store_measurements,
)
from waybill_testkit.gateway.in_process import EMAIL, Gateway, fields, running
from waybill_testkit.samples import NOON, reported


@pytest.fixture
def database_system() -> str:
    """What depends on the database is tested with the ledger."""
    return "sqlite"


@pytest.fixture
async def keyed(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(tmp_path, gateway_auth="keys") as started:
        yield started


async def completed(gateway: Gateway, task_id: str) -> None:
    now = (datetime.now(UTC) - NOON).total_seconds()
    events = [
        reported(type_, task_id, seconds_after=now)
        for type_ in (LifecycleType.STARTED, LifecycleType.COMPLETED)
    ]
    await gateway.resources.records.write(
        lambda connection, items: [apply_events(connection, each) for each in items], events
    )


async def test_each_tenant_is_shown_its_own_numbers(keyed: Gateway) -> None:
    own = await key_in(keyed, Scope.READ, Scope.SUBMIT)
    other = await key_in(keyed, Scope.READ, Scope.SUBMIT, tenant="acme")
    admin = await key_in(keyed, Scope.ADMIN)
    for header in (own, other, other):
        await keyed.client.post("/v1/emails", json=EMAIL, headers=header)
    task = (await keyed.client.get("/v1/tasks", headers=own)).json()["items"][0]["id"]
    await completed(keyed, task)
    now = datetime.now(UTC)
    waits = [OpenWork("email", State.PENDING, 2, now, 0)]
    measurement = Measurement(
        at=now, work={"acme": waits}, queues={"email.work": QueueMeasured(2, 0)}, bytes=9
    )
    await keyed.resources.records.write(store_measurements, measurement)

    answers = [(await keyed.client.get("/v1/stats", headers=each)).json() for each in (own, other, admin)]
    assert [answer["total"]["accepted"] for answer in answers] == [1, 2, 3]
    assert [answer["total"]["completed"] for answer in answers] == [1, 0, 1]
    assert [sum(step["completed"] for step in answer["series"]) for answer in answers] == [1, 0, 1]
    assert answers[0]["services"]["email"]["attempts"] == 1
    assert 0.25 < answers[0]["kinds"]["email.requested"]["handler_seconds"]["p50"] <= 0.5
    assert [list(answer["now"]["services"]) for answer in answers] == [[], ["email"], ["email"]]
    # That nobody works concerns all; how long the common queue is does not.
    queues = [answer["now"]["queues"]["email.work"] for answer in answers]
    assert [queue["consumers"] for queue in queues] == [0, 0, 0]
    assert queues[0]["messages"] is None
    assert queues[2]["messages"] == 2
    assert answers[0]["now"]["ledger_bytes"] is None
    titles = [[each["title"] for each in answer["findings"]] for answer in answers]
    assert "No process of email takes work" in titles[0]
    assert any(title.startswith("email: 2 wait") for title in titles[1])


@pytest.mark.parametrize(
    ("within", "seconds", "step"),
    [("1h", 3600, 60), ("1d", 86_400, 900), ("7d", 604_800, 7200), ("90d", 7_776_000, 86_400)],
)
async def test_a_time_has_whole_steps(gateway: Gateway, within: str, seconds: int, step: int) -> None:
    stats = (await gateway.client.get("/v1/stats", params={"within": within})).json()

    assert stats["step_seconds"] == step
    assert seconds <= stats["seconds"] < seconds + step
    assert seconds // step <= len(stats["series"]) <= seconds // step + 1
    assert stats["now"] is None


async def test_only_a_kind_or_a_service_is_counted_if_one_is_named(gateway: Gateway) -> None:
    await gateway.post("/v1/emails", EMAIL)
    by = {"email.requested": 1, "sync.requested": 0}
    for kind, number in by.items():
        stats = (await gateway.client.get("/v1/stats", params={"kind": kind})).json()
        assert stats["total"]["accepted"] == number
    assert fields(await gateway.client.get("/v1/stats", params={"within": "2h"})) == {"within"}
