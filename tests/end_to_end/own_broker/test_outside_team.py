"""A team registers, changes and retires a service of its own under load; nothing else is restarted."""

import asyncio
import re
from collections import Counter
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from tests.end_to_end.stack import POLL_SECONDS, Stack
from tests.end_to_end.team.deployment import PATIENCE, Deployment, deploying
from tests.end_to_end.team.load import Load
from tests.end_to_end.team.release_3 import service as release_3
from waybill_devstack.stack.stackfile import StackFile, read_stackfile
from waybill_testkit.eventually import eventually

INVOICE, FILED = "invoice.requested", "invoice.filed"
MAIL, RECORD = "email.requested", "sync.requested"
#: Seconds for which a task is scheduled that keeps its version and its service in use.
AN_HOUR = 3600


def test_a_team_comes_deploys_and_goes_under_load_and_no_process_is_restarted(
    stack: Stack, tmp_path: Path
) -> None:
    asyncio.run(_deploy_all(read_stackfile(stack.file), tmp_path))


async def _deploy_all(stack: StackFile, folder: Path) -> None:
    load = Load(stack.gateway)
    async with httpx.AsyncClient(base_url=stack.gateway, timeout=60, trust_env=False) as gateway:
        with deploying(stack, folder, gateway) as team:
            async with asyncio.TaskGroup() as group:
                load.begin(group)
                await _register(team, load, group)
                await _refuse_what_would_break(team)
                await _add_a_field(team, load)
                await _add_a_version_while_both_releases_run(team, load)
                await _retire(team, load)
                await load.end(MAIL, RECORD)
            await _all_is_accounted_for(team, load)
    assert load.failures == []
    assert read_stackfile(stack.path).processes == stack.processes


async def _register(team: Deployment, load: Load, group: asyncio.TaskGroup) -> None:
    """A first release: its kinds are posted from the moment that it is registered."""
    starting = asyncio.create_task(team.start("release_1"))

    async def is_registered() -> bool:
        return (await team.gateway.get("/v1/services/invoices")).is_success

    await eventually(is_registered, PATIENCE, every=POLL_SECONDS)
    load.begin_invoices(group)
    await starting
    for kind in (INVOICE, FILED):
        await _completed(team, await load.post(team.gateway, kind, _data(kind, "the-first")))


async def _refuse_what_would_break(team: Deployment) -> None:
    """A bad release does not start; nor is a kind of another service taken over."""
    before = await team.get("/v1/services/invoices")
    code, said = await team.try_to_start("broken")
    assert code == 4, said
    for difference in (
        "version 1 cannot change so, raise the version",
        ".order_id: maxLength was 40, now 10",
        ".amount: the type was integer, now string",
        ".tax_id: the field is now required",
    ):
        assert difference in said
    assert await team.get("/v1/services/invoices") == before

    theirs = (await team.get("/v1/services/email"))["manifest"]
    (mail,) = (handled for handled in theirs["handles"] if handled["kind"] == MAIL)
    mail["data"]["properties"]["subject"]["maxLength"] = 1
    refusal = await team.refused({"service": "post-office", "release": "1", "handles": [mail]})
    assert f"{MAIL} belongs to email, whose contract allows more than this one" in refusal


async def _add_a_field(team: Deployment, load: Load) -> None:
    """A new optional field: sent once the old release, which does not know it, has gone."""
    await team.start("release_2")
    await team.stop("release_1")
    load.fields = {"note": "by the second release"}
    task_id = await load.post(team.gateway, INVOICE, _data(INVOICE, "noted") | load.fields)
    assert _result(await _completed(team, task_id)) == {"release": 2, **load.fields}


async def _add_a_version_while_both_releases_run(team: Deployment, load: Load) -> None:
    """A new version is posted before the first process that reads it runs."""
    manifest = release_3.manifest().model_dump(mode="json")
    (await team.gateway.put("/v1/services/invoices", json=manifest)).raise_for_status()
    load.version, load.fields = 2, {"currency": "CHF"}
    early = [
        await load.post(team.gateway, INVOICE, _data(INVOICE, f"early-{n}") | load.fields, version=2)
        for n in range(3)
    ]
    for task_id in early:
        await eventually(partial(_was_put_off, team, task_id), PATIENCE, every=POLL_SECONDS)
    await team.start("release_3")
    for task_id in early:
        task = await _completed(team, task_id)
        assert _result(task) == {"release": 3, "currency": "CHF"}
        assert task["subtasks"][0]["attempt"] == 1, "what is put off is not counted"
    await team.stop("release_2")
    # An application that is not deployed again for long goes on with version 1.
    task_id = await load.post(team.gateway, INVOICE, _data(INVOICE, "of-version-1"), version=1)
    assert _result(await _completed(team, task_id)) == {"release": 3, "currency": "EUR"}


async def _retire(team: Deployment, load: Load) -> None:
    """Neither a version nor the service goes while something needs it; then it does."""
    scheduled = await load.post(
        team.gateway, INVOICE, _data(INVOICE, "in-an-hour"), version=1, delay_seconds=AN_HOUR
    )
    manifest = release_3.manifest(release="4").model_dump(mode="json")
    (invoice,) = (handled for handled in manifest["handles"] if handled["kind"] == INVOICE)
    invoice["reads"] = [2]
    refusal = await team.refused(manifest)
    for what in ("open task", "dead letter"):
        assert re.search(rf"{INVOICE}: \d+ {what}s? of version 1, which this release does not read", refusal)

    await load.end(INVOICE, FILED)
    await eventually(lambda: _are_open(team, INVOICE, FILED, expected=1), PATIENCE, every=POLL_SECONDS)
    in_use = await team.gateway.delete("/v1/services/invoices")
    assert in_use.status_code == HTTPStatus.CONFLICT
    assert in_use.json()["type"] == "urn:waybill:problem:service_in_use"
    assert [error["field"] for error in in_use.json()["errors"]] == [f"/v1/tasks/{scheduled}"]
    assert (await team.gateway.post(f"/v1/tasks/{scheduled}/cancel")).is_success
    await eventually(lambda: _are_open(team, INVOICE, FILED), PATIENCE, every=POLL_SECONDS)

    retired = await team.gateway.delete("/v1/services/invoices")
    assert retired.is_success, retired.text
    assert retired.json()["late"]["tasks"] == 0
    await team.stop("release_3")
    answer = await team.gateway.post("/v1/tasks", json={"kind": FILED, "data": _data(FILED, "too-late")})
    assert answer.json()["type"] == "urn:waybill:problem:kind_retired"


async def _all_is_accounted_for(team: Deployment, load: Load) -> None:
    """Each task is done or a dead letter, and each effect has happened once."""
    await eventually(lambda: _are_open(team), PATIENCE, every=POLL_SECONDS)
    assert (await team.get("/v1/accounting"))["balanced"]
    tasks = {kind: await team.every("/v1/tasks", kind=kind) for kind in (INVOICE, FILED, MAIL, RECORD)}
    states = {task["id"]: task["state"] for each in tasks.values() for task in each}
    posted = {task_id for ids in load.accepted.values() for task_id in ids}
    assert all(len(load.accepted[kind]) > 20 for kind in tasks), load.accepted
    assert posted <= states.keys(), "accepted, and lost"

    # What nobody has posted: the filing that each finished invoice asks for, and alerts.
    done = {task["id"] for task in tasks[INVOICE] if task["state"] == "completed"}
    spawned = [task for task in tasks[FILED] if task["id"] not in posted]
    assert Counter(task["parent"]["id"] for task in spawned) == Counter(done)
    assert {task["id"] for each in (INVOICE, RECORD) for task in tasks[each]} <= posted

    failed = {task_id for task_id, state in states.items() if state == "failed"}

    async def all_letters() -> list[dict[str, Any]] | None:
        letters = await team.every("/v1/dead-letters")
        return letters if len(letters) >= len(failed) else None

    letters = await eventually(all_letters, PATIENCE, every=POLL_SECONDS)
    assert Counter(letter["task_id"] for letter in letters) == Counter(failed)
    assert {letter["reason"] for letter in letters} == {"permanent"}
    assert Counter(states.values())["cancelled"] == 1

    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        calls = (await client.get(f"{team.stack.crm}/requests")).json()
        mails = (await client.get(f"{team.stack.mailbox}/api/messages")).json()
    services = {INVOICE: "invoices", FILED: "invoices", RECORD: "sync"}
    due = {
        f"{task['id']}.{service}"
        for kind, service in services.items()
        for task in tasks[kind]
        if task["state"] == "completed"
    }
    written = Counter(call["idempotency_key"] for call in calls if call["outcome"] == "written")
    assert written == Counter(due)
    sent = Counter(mail["message_id"].strip("<>").split(".")[0] for mail in mails)
    assert set(load.accepted[MAIL]) <= sent.keys()
    assert set(sent.values()) == {1}


def _data(kind: str, order_id: str) -> dict[str, Any]:
    return {"order_id": order_id} | ({"amount": 1} if kind == INVOICE else {})


async def _completed(team: Deployment, task_id: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        task: dict[str, Any] = await team.get(f"/v1/tasks/{task_id}")
        assert task["state"] not in {"failed", "cancelled"}, task
        return task if task["state"] == "completed" else None

    return await eventually(look, PATIENCE, every=POLL_SECONDS)


async def _was_put_off(team: Deployment, task_id: str) -> bool:
    timeline = await team.get(f"/v1/tasks/{task_id}/timeline")
    return any(event["type"] == "task.snoozed" for event in timeline["events"])


async def _are_open(team: Deployment, *kinds: str, expected: int = 0) -> bool:
    """Whether so many tasks of these kinds, or of all, have not ended."""
    account = await team.get("/v1/accounting")
    counted = [account["kinds"][kind] for kind in kinds] or [account["total"]]
    ended = sum(each["completed"] + each["failed"] + each["cancelled"] for each in counted)
    open_: int = sum(each["accepted"] for each in counted) - ended
    return open_ == expected


def _result(task: dict[str, Any]) -> dict[str, Any]:
    (subtask,) = task["subtasks"]
    result: dict[str, Any] = subtask["result"]
    return result
