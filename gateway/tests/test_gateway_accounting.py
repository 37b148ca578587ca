from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Delete, Update, delete, update

from waybill_ledger.schema.tables import OUTBOX, SUBTASKS, TASKS
from waybill_testkit.gateway.in_process import EMAIL, Gateway, problem, running

USER = {"email": "bob@example.com", "name": "Bob"}
NONE = dict.fromkeys(("scheduled", "running", "retrying", "completed", "failed", "cancelled", "pruned"), 0)


async def account(gateway: Gateway, **query: object) -> dict[str, Any]:
    answer = await gateway.client.get("/v1/accounting", params={k: str(v) for k, v in query.items()})
    assert answer.status_code == 200, answer.text
    seen: dict[str, Any] = answer.json()
    return seen


async def damage(gateway: Gateway, statement: Update | Delete) -> None:
    def write(connection: Connection, items: Sequence[Update | Delete]) -> list[None]:
        for item in items:
            connection.execute(item)
        return [None] * len(items)

    await gateway.resources.records.write(write, statement)


async def test_all_that_was_accepted_is_accounted_for(gateway: Gateway) -> None:
    before = gateway.resources.records.now()
    await gateway.post("/v1/emails", EMAIL)
    await gateway.post("/v1/emails", EMAIL | {"delay_seconds": 60})
    await gateway.post("/v1/users", USER)
    after = gateway.resources.records.now()

    assert await account(gateway) == {
        "since": None,
        "until": None,
        "balanced": True,
        "total": NONE | {"accepted": 3, "pending": 2, "scheduled": 1},
        "kinds": {
            "email.requested": NONE | {"accepted": 2, "pending": 1, "scheduled": 1},
            "user.created": NONE | {"accepted": 1, "pending": 1},
        },
        "unplaced": {"count": 0, "items": [], "next_cursor": None},
    }
    between = await account(gateway, since=before.isoformat(), until=after.isoformat())
    assert between["total"]["accepted"] == 3
    assert datetime.fromisoformat(between["since"]) == before
    later = await account(gateway, since=after.isoformat())
    assert (later["total"]["accepted"], later["balanced"], later["kinds"]) == (0, True, {})


async def test_what_cannot_be_placed_is_told_with_its_reasons_and_a_way_to_it(gateway: Gateway) -> None:
    for _ in range(3):
        await gateway.post("/v1/emails", EMAIL)
    await damage(gateway, delete(SUBTASKS))
    first = await account(gateway, limit=2)
    rest = await account(gateway, limit=2, cursor=first["unplaced"]["next_cursor"])

    assert (first["balanced"], rest["balanced"]) == (False, False)
    assert (first["unplaced"]["count"], len(first["unplaced"]["items"])) == (3, 2)
    assert (rest["unplaced"]["count"], len(rest["unplaced"]["items"])) == (3, 1)
    assert rest["unplaced"]["next_cursor"] is None
    task = first["unplaced"]["items"][0]
    assert task["reasons"] == ["it has no subtasks, so no service will work on it"]
    assert (await gateway.client.get(task["links"]["self"])).json()["id"] == task["id"]


async def test_a_silence_beyond_the_configured_patience_is_told(tmp_path: Path) -> None:
    long_ago = datetime.now(UTC) - timedelta(seconds=10)
    async with running(tmp_path, reconcile_pending_seconds=3) as gateway:
        await gateway.post("/v1/emails", EMAIL)
        await damage(gateway, delete(OUTBOX))
        assert (await account(gateway))["balanced"]
        await damage(gateway, update(SUBTASKS).values(expected_at=long_ago))
        seen = await account(gateway)

    assert (seen["balanced"], seen["total"]["pending"], seen["unplaced"]["count"]) == (False, 1, 1)


async def test_a_task_in_no_state_is_missing_in_the_sum(gateway: Gateway) -> None:
    await gateway.post("/v1/emails", EMAIL)
    await damage(gateway, update(TASKS).values(state="lost"))
    seen = await account(gateway)

    assert seen["balanced"] is False
    assert seen["total"] == NONE | {"accepted": 1, "pending": 0}
    assert seen["unplaced"]["items"][0]["state"] == "lost"


@pytest.mark.parametrize(
    ("query", "wrong", "code"),
    [
        ({"since": "yesterday"}, "since", "invalid_request"),
        ({"since": "2026-01-01T00:00:00"}, "since", "invalid_request"),
        ({"until": "2026-01-01T00:00:00Z", "since": "2026-01-01T00:00:00Z"}, "until", "empty_range"),
        ({"limit": "0"}, "limit", "invalid_request"),
        ({"cursor": "nonsense"}, "cursor", "bad_cursor"),
        ({"from": "2026-01-01T00:00:00Z"}, "from", "invalid_request"),
    ],
)
async def test_bad_questions_name_the_field(
    gateway: Gateway, query: dict[str, str], wrong: str, code: str
) -> None:
    document = problem(await gateway.client.get("/v1/accounting", params=query), 422, code)

    assert [error["field"] for error in document["errors"]] == [wrong]
