"""The gateway beside a real broker that hangs: it neither makes callers wait nor takes for ever to stop."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from waybill_gateway.runtime import published_rows, task_relay
from waybill_ledger.schema.tables import OUTBOX, TASKS
from waybill_testkit.certificates import Certificates
from waybill_testkit.eventually import eventually
from waybill_testkit.gateway.in_process import EMAIL, Gateway, running
from waybill_testkit.listening import listening
from waybill_testkit.proxy import Proxy

#: A publish is given up after this, so its caller waits as long: longer than a busy machine takes for all.
PUBLISH_SECONDS = 15.0
MOST_IN_FLIGHT = 20


async def is_connected(gateway: Gateway) -> bool:
    return bool((await gateway.client.get("/readyz")).json()["broker"])


async def outbox_is_empty(gateway: Gateway) -> bool:
    return await gateway.count(OUTBOX) == 0


async def test_a_broker_that_hangs_holds_up_no_caller_and_no_stop(
    topology_url: str, proxy: Proxy, tmp_path: Path
) -> None:
    """Pain: the HTTP publisher hangs while the broker is down (faststream 1579)."""
    loop = asyncio.get_running_loop()
    async with running(
        tmp_path,
        amqp_url=proxy.url(topology_url),
        publish_timeout_seconds=PUBLISH_SECONDS,
        max_in_flight=MOST_IN_FLIGHT,
    ) as gateway:
        await eventually(lambda: is_connected(gateway))
        proxy.stall()
        began = loop.time()
        answers = await asyncio.gather(*(gateway.post("/v1/emails", EMAIL) for _ in range(100)))
        took = loop.time() - began
        # Only as many as there are slots hang; their number is visible nowhere else.
        in_flight = gateway.resources.relay._in_flight  # noqa: SLF001 - as said
        waiting = len(gateway.resources.relay._waiting)  # noqa: SLF001 - as said
        began = loop.time()
    stopped = loop.time() - began

    assert {answer.status_code for answer in answers} == {202}
    assert took < PUBLISH_SECONDS
    assert (in_flight, waiting) == (MOST_IN_FLIGHT, 100 - MOST_IN_FLIGHT)
    assert stopped < 4 * PUBLISH_SECONDS


async def test_a_burst_is_published_by_the_gateway_itself_and_nothing_is_left_to_a_sweep(
    topology_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody sweeps here: what the gateway does not publish stays in the outbox for ever. On a busy machine
    # the last one's turn may come when a sweep would be due.
    monkeypatch.setattr(task_relay, "RELAY_GRACE", timedelta(minutes=5))
    async with running(tmp_path, amqp_url=topology_url, max_in_flight=2) as gateway:
        await eventually(lambda: is_connected(gateway))
        answers = await asyncio.gather(*(gateway.post("/v1/emails", EMAIL) for _ in range(200)))

        assert {answer.status_code for answer in answers} == {202}
        await eventually(lambda: outbox_is_empty(gateway))
        assert gateway.resources.relay._bytes == 0  # noqa: SLF001 - else the next burst finds less room


async def test_what_was_accepted_before_the_broker_came_or_while_it_was_away_goes_out_when_it_is_there(
    topology_url: str, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_relay, "RELAY_GRACE", timedelta(minutes=5))  # a connection may take its time
    # Nothing sweeps here. The first posts are made before the gateway has its connection.
    async with running(tmp_path, amqp_url=proxy.url(topology_url)) as gateway:
        for _ in range(2):
            assert not gateway.resources.relay.is_connected
            answers = [await gateway.post("/v1/emails", EMAIL) for _ in range(3)]
            assert {answer.status_code for answer in answers} == {202}
            proxy.resume()
            await eventually(lambda: outbox_is_empty(gateway))
            proxy.cut(refuse=True)
            await eventually(lambda: not gateway.resources.relay.is_connected)


async def test_a_task_that_is_cancelled_long_after_it_was_accepted_is_told_of_at_once(
    topology_url: str, tmp_path: Path
) -> None:
    async with running(tmp_path, amqp_url=topology_url) as gateway:
        await eventually(lambda: is_connected(gateway))
        task = (await gateway.post("/v1/emails", EMAIL)).headers["Location"]
        await eventually(lambda: outbox_is_empty(gateway))
        # Later than any sweep would have taken the task itself.
        with gateway.resources.records.engine.begin() as connection:
            connection.execute(update(TASKS).values(created_at=datetime.now(UTC) - timedelta(hours=1)))
        answer = await gateway.client.post(f"{task}/cancel")

        assert answer.json()["outcome"] == "stopping"
        await eventually(lambda: outbox_is_empty(gateway))


async def test_what_waits_for_the_broker_holds_up_no_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_relay, "RELAY_GRACE", timedelta(minutes=5))
    loop = asyncio.get_running_loop()
    async with running(tmp_path) as gateway:
        assert (await gateway.post("/v1/emails", EMAIL)).status_code == 202
        began = loop.time()
    assert loop.time() - began < gateway.resources.settings.publish_timeout_seconds


async def test_a_stop_deletes_the_rows_that_are_published_and_ends_in_order(
    topology_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published_rows, "GATHER_SECONDS", 60)  # only the stop ends the wait for more rows
    async with running(tmp_path, amqp_url=topology_url) as gateway:
        await eventually(lambda: is_connected(gateway))
        await gateway.post("/v1/emails", EMAIL)
        relay = gateway.resources.relay
        await eventually(lambda: relay._published._ids)  # noqa: SLF001 - confirmed and not deleted, seen nowhere else
        await relay.stop()
        assert await outbox_is_empty(gateway)


async def test_what_waits_in_memory_is_bounded_and_the_rest_left_to_the_sweep(
    topology_url: str, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_relay, "MAX_WAITING_BYTES", 5000)
    async with running(
        tmp_path, amqp_url=proxy.url(topology_url), publish_timeout_seconds=PUBLISH_SECONDS
    ) as gateway:
        await eventually(lambda: is_connected(gateway))
        proxy.stall()
        answers = await asyncio.gather(*(gateway.post("/v1/emails", EMAIL) for _ in range(100)))

        assert {answer.status_code for answer in answers} == {202}
        assert 0 < gateway.resources.relay._bytes <= 5000  # noqa: SLF001 - visible nowhere else
        assert await gateway.count(OUTBOX) == 100


async def test_a_broker_that_is_not_trusted_is_told_of_and_stops_no_accepting(
    tmp_path: Path, certificates: Certificates
) -> None:
    context = certificates.context(certificates.server)
    async with listening(lambda _, writer: writer.close(), context) as port:
        url = f"amqps://127.0.0.1:{port}/"
        with capture_logs() as lines:
            async with running(tmp_path, amqp_url=url, amqp_ca_file=certificates.strangers_ca) as gateway:
                [line] = await eventually(lambda: [line for line in lines if line["log_level"] == "critical"])
                accepted = await gateway.post("/v1/emails", EMAIL)

    assert "certificate verify failed" in line["reason"]
    assert accepted.status_code == 202
