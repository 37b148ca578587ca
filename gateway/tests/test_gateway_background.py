"""What the gateway does beside serving: it does not end unnoticed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from waybill_gateway.auth.key_cache import KnownKeys
from waybill_gateway.files.collector import Collector
from waybill_gateway.process import GatewayProcess
from waybill_testkit.empty_ledger import empty_ledger
from waybill_testkit.eventually import eventually
from waybill_testkit.gateway.in_process import settings_in
from waybill_testkit.machine.ports import free_ports
from waybill_worker.broker.wait import BrokerWait
from waybill_worker.runtime import http_server
from waybill_worker.runtime.periodic_task import PeriodicTask


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[GatewayProcess]:
    (tmp_path / "ledger.db").write_bytes(empty_ledger())
    process = GatewayProcess(settings_in(tmp_path, port=0, drain_seconds=0))
    yield process
    await process.stop()


@pytest.mark.parametrize("work", [Collector, KnownKeys])
async def test_a_defect_beside_the_requests_ends_the_process(
    process: GatewayProcess,
    work: type[PeriodicTask],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def defect(_: PeriodicTask) -> None:
        raise LookupError("a defect")

    monkeypatch.setattr(work, "_run_for_ever", defect)
    await process.start()
    watching = asyncio.create_task(process.wait_failed())
    await eventually(watching.done)
    await watching

    out = capsys.readouterr().out
    assert "ended, though it should not" in out
    assert work.NAME in out


@pytest.mark.parametrize("defect", [LookupError("a defect"), asyncio.CancelledError()])
async def test_a_gateway_that_no_longer_reaches_for_the_broker_ends(
    process: GatewayProcess,
    defect: BaseException,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def reach(*_: object) -> None:
        raise defect

    monkeypatch.setattr(BrokerWait, "until", reach)
    await process.start()
    async with asyncio.timeout(60):
        await process.wait_failed()

    out = capsys.readouterr().out
    assert "ended, though it should not" in out
    assert "connect" in out


async def test_a_well_gateway_is_not_broken(process: GatewayProcess) -> None:
    await process.start()
    watching = asyncio.create_task(process.wait_failed())
    done, _ = await asyncio.wait({watching}, timeout=0.5)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)

    assert not done


async def answer_of(client: httpx.AsyncClient) -> httpx.Response | None:
    """The readiness of the gateway; None: it does not listen yet."""
    try:
        return await client.get("/readyz")
    except httpx.ConnectError:
        return None


async def test_a_stop_right_after_the_first_answer_drains_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first request is answered long before the start notices that the server has started.
    monkeypatch.setattr(http_server, "_POLL_SECONDS", 0.5)
    (tmp_path / "ledger.db").write_bytes(empty_ledger())
    [port] = free_ports(1)
    process = GatewayProcess(settings_in(tmp_path, port=port, drain_seconds=2))
    starting = asyncio.create_task(process.start())
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        while (first := await answer_of(client)) is None:  # noqa: ASYNC110 - it may not listen yet
            await asyncio.sleep(0.01)
        is_started = starting.done()
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        stopping = asyncio.create_task(process.stop())
        await asyncio.sleep(0.1)
        second = await client.get("/readyz")
        await stopping

    assert not is_started
    assert first.status_code == 200
    assert (second.status_code, second.json()["status"]) == (503, "stopping")
