"""Streams of events: every event once, in order, however often a caller comes back."""

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest
from keys_under_test import id_of, key_in
from streaming import Served, served

from waybill_contracts.wire.lifecycle import LifecycleEvent, LifecycleType
from waybill_ledger import Revocation, Scope, revoke_keys
from waybill_testkit.eventually import eventually
from waybill_testkit.gateway.in_process import EMAIL, problem
from waybill_testkit.samples import reported

STARTED, PROGRESS, RETRYING = LifecycleType.STARTED, LifecycleType.PROGRESS, LifecycleType.RETRYING
COMPLETED = LifecycleType.COMPLETED


@pytest.fixture
async def gateway(tmp_path: Path, ledger_url: str) -> AsyncIterator[Served]:
    async with served(tmp_path, ledger_url) as gateway:
        yield gateway


def done(task_id: str) -> LifecycleEvent:
    return reported(COMPLETED, task_id, seconds_after=9)


async def test_a_task_is_streamed_from_its_beginning_to_its_end(gateway: Served) -> None:
    task_id = await gateway.accepted()
    await gateway.happened(reported(STARTED, task_id))
    async with gateway.stream(f"/v1/tasks/{task_id}/events") as stream:
        [first] = await stream.take(1)
        await gateway.happened(reported(PROGRESS, task_id, text="page 1"))
        [second] = await stream.take(1)
        await gateway.happened(done(task_id))
        rest = await stream.rest()

    headers = stream.answer.headers
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-store"
    assert [each.data["type"] for each in (first, second, *rest[:-1])] == [STARTED, PROGRESS, COMPLETED]
    assert (first.data["task_id"], first.data["kind"], first.data["service"]) == (
        task_id,
        "email.requested",
        "email",
    )
    assert (first.data["task_state"], rest[0].data["task_state"]) == ("running", "completed")
    assert second.data["details"]["progress"]["text"] == "page 1"
    assert rest[-1].name == "end"
    shown = (await gateway.client.get(f"/v1/tasks/{task_id}")).json()
    assert rest[-1].data == shown | {"links": shown["links"] | {"watch": None}}
    assert gateway.measured("waybill_streamed_events_total") == 3


async def test_a_caller_that_comes_back_gets_what_it_has_missed_and_nothing_twice(gateway: Served) -> None:
    task_id = await gateway.accepted()
    path = f"/v1/tasks/{task_id}/events"
    await gateway.happened(reported(STARTED, task_id))
    async with gateway.stream(path) as stream:
        [first] = await stream.take(1)
    await gateway.happened(reported(RETRYING, task_id, seconds_after=1))
    async with gateway.stream(path, Last_Event_ID=first.id) as stream:
        [second] = await stream.take(1)
    await gateway.happened(done(task_id))
    async with gateway.stream(path, Last_Event_ID=second.id) as stream:
        rest = await stream.rest()
    async with gateway.stream(path, Last_Event_ID=rest[0].id) as stream:
        last = await stream.rest()
    nothing = await gateway.client.get(path, headers={"Last-Event-ID": rest[1].id})

    assert [each.data["type"] for each in (first, second, rest[0])] == [STARTED, RETRYING, COMPLETED]
    assert [each.name for each in rest] == ["message", "end"]
    # The end was not received, so it is sent again; a browser that reconnects after it gets 204, and stops.
    assert last == rest[1:]
    assert (nothing.status_code, nothing.content) == (204, b"")


async def test_all_tasks_are_streamed_from_now_on_and_after_an_id_from_there(gateway: Served) -> None:
    one, two = await gateway.accepted(), await gateway.accepted()
    await gateway.happened(reported(STARTED, one))
    async with gateway.stream("/v1/events") as stream:
        await gateway.happened(reported(STARTED, two), done(one))
        events = await stream.take(2)
    await gateway.happened(done(two))
    async with gateway.stream("/v1/events", Last_Event_ID=events[0].id) as stream:
        later = await stream.take(2)
    async with gateway.stream("/v1/events", Last_Event_ID="0") as stream:
        every = await stream.take(4)

    assert sorted((each.data["task_id"], each.data["type"]) for each in events) == sorted(
        [(two, STARTED), (one, COMPLETED)]
    )
    assert later[0].id == events[1].id
    assert (later[1].data["task_id"], later[1].data["type"]) == (two, COMPLETED)
    assert [int(each.id) for each in every] == sorted(int(each.id) for each in every)
    assert len({each.id for each in every}) == 4


async def test_a_caller_that_has_seen_nothing_yet_can_come_back(gateway: Served) -> None:
    task_id = await gateway.accepted()
    async with gateway.stream("/v1/events") as stream:
        await eventually(lambda: stream_began(gateway, "all"))
        await gateway.happened(reported(STARTED, task_id))
        await stream.take(1)
    # What a browser keeps is the id with which a stream begins.
    async with gateway.stream("/v1/events", Last_Event_ID="0") as again:
        assert [each.data["type"] for each in await again.take(1)] == [STARTED]


def stream_began(gateway: Served, watched: str) -> bool:
    return gateway.measured("waybill_watchers", watched=watched) == 1


async def test_only_the_kinds_that_are_asked_for_are_streamed(gateway: Served) -> None:
    mail = await gateway.accepted()
    record = {"target": "crm", "resource": "contacts", "id": "7", "data": {}}
    sync = (await gateway.client.post("/v1/syncs", json=record)).json()["id"]
    async with gateway.stream("/v1/events?kind=sync.requested") as stream:
        await gateway.happened(reported(STARTED, mail))
        await gateway.happened(reported(STARTED, sync, service="sync", kind="sync.requested"))
        assert [each.data["task_id"] for each in await stream.take(1)] == [sync]


async def test_one_that_is_far_behind_reads_the_ledger(
    gateway: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("waybill_gateway.following.watches.MOST_A_PAGE", 3)
    tasks = [await gateway.accepted() for _ in range(10)]
    await gateway.happened(*[reported(STARTED, task_id) for task_id in tasks])
    async with gateway.stream("/v1/events", Last_Event_ID="0") as stream:
        old = await stream.take(10)
        await gateway.happened(*map(done, tasks))
        new = await stream.take(10)

    assert {each.data["task_id"] for each in old} == {each.data["task_id"] for each in new} == set(tasks)
    ids = [int(each.id) for each in (*old, *new)]
    assert ids == sorted(set(ids))


async def test_a_cancelled_caller_watches_no_more(gateway: Served) -> None:
    task_id = await gateway.accepted()
    async with gateway.stream(f"/v1/tasks/{task_id}/events"):
        await eventually(lambda: stream_began(gateway, "task"))
    await eventually(lambda: gateway.measured("waybill_watchers", watched="task") == 0)


async def test_an_idle_stream_has_comments_and_keeps_its_place(
    gateway: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("waybill_gateway.watching.events.HEARTBEAT_SECONDS", 0.1)
    task_id = await gateway.accepted()
    async with gateway.stream("/v1/events?kind=sync.requested") as stream:
        began = asyncio.create_task(stream.next())
        await eventually(lambda: len(stream.comments) > 2)
        before = stream.last_id
        await gateway.happened(reported(STARTED, task_id))
        # What is not for it moves its place, too.
        await eventually(lambda: int(stream.last_id) > int(before))
        began.cancel()
        await asyncio.gather(began, return_exceptions=True)


@pytest.mark.parametrize("database_system", ["sqlite"])
async def test_one_who_does_not_read_is_cut_and_others_are_not_held_up(
    gateway: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("waybill_gateway.watching.event_stream.SEND_SECONDS", 0.3)
    mails = {"tasks": [{"kind": "email.requested", "data": EMAIL}] * 400}
    answer = await gateway.client.post("/v1/tasks/bulk", json=mails)
    tasks = [task["id"] for task in answer.json()["tasks"]]
    loop = asyncio.get_running_loop()
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(0)
        await loop.sock_connect(slow, gateway.address)
        await loop.sock_sendall(slow, b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        await eventually(lambda: stream_began(gateway, "all"))
        async with gateway.stream("/v1/events") as stream:
            # More than the kernel keeps for one that reads nothing.
            for begin in range(0, len(tasks), 20):
                some = tasks[begin : begin + 20]
                await gateway.happened(
                    *[reported(COMPLETED, task_id, result={"page": "x" * 30_000}) for task_id in some]
                )
                assert len(await stream.take(len(some))) == len(some)
            await eventually(lambda: gateway.measured("waybill_cut_streams_total") == 1)
            assert stream_began(gateway, "all")


async def test_streams_end_when_the_gateway_stops(gateway: Served) -> None:
    task_id = await gateway.accepted()
    async with (
        gateway.stream(f"/v1/tasks/{task_id}/events") as one,
        gateway.stream("/v1/events") as all_,
    ):
        stopping = asyncio.create_task(gateway.process.stop())
        began = monotonic()
        assert [await one.rest(), await all_.rest()] == [[], []]
        await stopping
    assert monotonic() - began < 5
    assert one.comments[-1] == all_.comments[-1] == ": the gateway stops"


async def test_wrong_ids_and_unknown_tasks_are_refused(gateway: Served) -> None:
    unknown = "00000000-0000-7000-8000-000000000000"
    problem(await gateway.client.get(f"/v1/tasks/{unknown}/events"), 404, "no_such_task")
    for wrong in ("x", "-1", "1.5", "9" * 19, "1-over"):
        answer = await gateway.client.get("/v1/events", headers={"Last-Event-ID": wrong})
        problem(answer, 400, "bad_last_event_id")
    assert gateway.measured("waybill_watchers", watched="all") == 0


@pytest.mark.parametrize("database_system", ["sqlite"])
class TestKeys:
    """Streams with keys."""

    @pytest.fixture
    async def gateway(self, tmp_path: Path, ledger_url: str) -> AsyncIterator[Served]:
        async with served(tmp_path, ledger_url, gateway_auth="keys", max_watchers=4) as gateway:
            yield gateway

    async def test_tenants_are_kept_apart(self, gateway: Served) -> None:
        acme = await key_in(gateway, Scope.READ, Scope.SUBMIT, tenant="acme")
        other = await key_in(gateway, Scope.READ, Scope.SUBMIT, tenant="other")
        admin = await key_in(gateway, Scope.ADMIN)
        theirs, ours = await gateway.accepted(**acme), await gateway.accepted(**other)
        problem(await gateway.client.get(f"/v1/tasks/{theirs}/events", headers=other), 404, "no_such_task")
        problem(await gateway.client.get("/v1/events"), 401, "key_missing")
        async with (
            gateway.stream("/v1/events", **other) as live,
            gateway.stream("/v1/events", **admin) as every,
        ):
            await gateway.happened(reported(STARTED, theirs), reported(STARTED, ours))
            seen = [each.data["task_id"] for each in await live.take(1)]
            seen_by_admin = {each.data["task_id"] for each in await every.take(2)}
        async with gateway.stream("/v1/events", Last_Event_ID="0", **other) as late:
            seen += [each.data["task_id"] for each in await late.take(1)]

        assert seen == [ours, ours]
        assert seen_by_admin == {theirs, ours}

    async def test_a_revoked_key_ends_its_streams_within_two_seconds(self, gateway: Served) -> None:
        good = await key_in(gateway, Scope.READ, Scope.SUBMIT)
        revoked = await key_in(gateway, Scope.READ)
        task_id = await gateway.accepted(**good)
        path = f"/v1/tasks/{task_id}"
        async with (
            gateway.stream("/v1/events", **revoked) as one,
            gateway.stream(f"{path}/events", **revoked) as two,
            gateway.stream("/v1/events", **good) as other,
        ):
            waiting = asyncio.create_task(gateway.client.get(path, params={"wait": 60}, headers=revoked))
            await eventually(lambda: gateway.measured("waybill_watchers", watched="end") == 1)
            # As another gateway does it.
            began = monotonic()
            await gateway.resources.records.write(revoke_keys, Revocation(id_of(revoked), datetime.now(UTC)))
            assert [await one.rest(), await two.rest()] == [[], []]
            problem(await waiting, 401, "key_ended")
            took = monotonic() - began
            await gateway.happened(reported(STARTED, task_id))
            assert len(await other.take(1)) == 1

        assert took < 5
        assert one.comments[-1] == ": the key was revoked, or has expired"

    async def test_a_key_that_expires_ends_its_streams(self, gateway: Served) -> None:
        soon = datetime.now(UTC) + timedelta(seconds=2)
        short = await key_in(gateway, Scope.READ, expires_at=soon)
        async with gateway.stream("/v1/events", **short) as stream:
            assert await stream.rest() == []
        assert datetime.now(UTC) >= soon

    async def test_there_is_a_limit_of_streams(self, gateway: Served) -> None:
        key = await key_in(gateway, Scope.READ)
        async with (
            gateway.stream("/v1/events", **key),
            gateway.stream("/v1/events", **key),
            gateway.stream("/v1/events", **key),
            gateway.stream("/v1/events", **key),
        ):
            surplus = await gateway.client.get("/v1/events", headers=key)
            problem(surplus, 503, "too_many_watchers")
