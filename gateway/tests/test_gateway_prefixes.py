"""The listings find what somebody means by the beginning of its id, as a range of an index."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from waybill_contracts.wire.lifecycle import ErrorInfo
from waybill_gateway.keys.models import PostKey
from waybill_ledger.deadletters.intake.intake import take_in
from waybill_ledger.deadletters.intake.letter import letter_of
from waybill_ledger.listings.id_prefix import GROUP_DIGITS, begins_with
from waybill_ledger.schema.tables import TASKS
from waybill_testkit.gateway.in_process import EMAIL, Gateway, running
from waybill_testkit.samples import dead_message, gate_of, sync_event

SYNC = {"target": "crm", "resource": "contacts", "id": "7", "data": {"name": "Ann"}}
OF_OTHERS = "ffffffff-zzzz-no-uuid"


@pytest.fixture
async def gateway(tmp_path: Path, ledger_url: str) -> AsyncIterator[Gateway]:
    async with running(tmp_path, ledger_url=ledger_url) as started:
        yield started


async def found(gateway: Gateway, path: str, **query: Any) -> list[str]:
    answer = await gateway.client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return [str(item["id"]) for item in answer.json()["items"]]


async def made(gateway: Gateway, path: str, body: object) -> str:
    answer = await gateway.client.post(path, json=body)
    assert answer.is_success, answer.text
    name: str = answer.json()["id"]
    return name


async def test_each_listing_finds_by_the_beginning_of_an_id(gateway: Gateway) -> None:
    tasks = [await made(gateway, "/v1/syncs", SYNC) for _ in range(3)]
    schedules = [
        await made(
            gateway,
            "/v1/schedules",
            {"name": name, "kind": "email.requested", "cron": "0 8 * * MON", "body": EMAIL},
        )
        for name in ("a", "b")
    ]
    keys = [
        await made(gateway, "/v1/keys", PostKey(name=name, scopes=["read"]).model_dump(mode="json"))
        for name in ("a", "b")
    ]
    for task, why in zip(tasks, ("refused", "away", "full"), strict=True):
        letter = letter_of(
            dead_message(sync_event(), task, error=ErrorInfo(type="Error", message=why)), gate=gate_of()
        )
        await gateway.resources.records.write(take_in, letter)
    groups = await found(gateway, "/v1/dead-letters/groups")
    assert len(groups) == 3
    for path, ids in (
        ("/v1/tasks", tasks),
        ("/v1/schedules", schedules),
        ("/v1/keys", keys),
        ("/v1/dead-letters/groups", groups),
    ):
        for one in ids:
            for size in range(1, len(one) + 1):
                beginning = one[:size]
                meant = {each for each in ids if each.startswith(beginning)}
                assert set(await found(gateway, path, id=beginning)) == meant, (path, beginning)
            assert await found(gateway, path, id=one.upper()) == [one]
            assert await found(gateway, path, id=one.replace("-", "")) == [one]
        assert await found(gateway, path, id="f" * 36) == []
        answer = await gateway.client.get(path, params={"id": "x"})
        assert answer.status_code == 422


async def test_letters_are_found_by_the_beginning_of_their_task(gateway: Gateway) -> None:
    tasks = [await made(gateway, "/v1/syncs", SYNC), OF_OTHERS, "7"]
    for task in tasks:
        await gateway.resources.records.write(
            take_in, letter_of(dead_message(sync_event(), task), gate=gate_of())
        )

    async def letters(task: str) -> list[str]:
        answer = await gateway.client.get("/v1/dead-letters", params={"task": task})
        assert answer.status_code == 200, answer.text
        return [item["task_id"] for item in answer.json()["items"]]

    for task in tasks:
        assert await letters(task) == [task]
    assert await letters(tasks[0][:13]) == [tasks[0]]
    # No id of ours, though it stands in the range of those that begin so.
    assert await letters("ffffffff") == []


async def test_a_beginning_is_a_range_of_the_index(gateway: Gateway, database_system: str) -> None:
    """On a ledger of tasks the database is asked how it would look for one."""

    def plan(connection: Connection) -> str:
        dialect = connection.dialect
        where = begins_with(TASKS.c.id, "01a20797").compile(
            dialect=dialect, compile_kwargs={"literal_binds": True}
        )
        explain = "EXPLAIN QUERY PLAN" if database_system == "sqlite" else "EXPLAIN"
        if database_system == "postgresql":
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        query = str(where).replace("%%", "%")
        rows = connection.execute(text(f"{explain} SELECT id FROM tasks WHERE {query}"))
        return "\n".join(str(tuple(row)) for row in rows)

    shown = await gateway.resources.records.read(plan)
    wanted = "id>? AND id<?" if database_system == "sqlite" else "Index Cond: ((id >= "
    assert wanted in shown, shown


def test_a_beginning_that_is_too_long_is_nobodys() -> None:
    assert str(begins_with(TASKS.c.id, "0" * 33, GROUP_DIGITS)) == "false"
