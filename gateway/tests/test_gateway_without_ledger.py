"""The ledger's PostgreSQL is ended and started under the gateway: callers are asked to repeat their calls."""

import asyncio
import signal
from http import HTTPStatus
from pathlib import Path

import pytest

from waybill_ledger.migrations.migrate import upgrade
from waybill_ledger.schema.tables import TASKS
from waybill_testkit.eventually import eventually
from waybill_testkit.gateway.in_process import EMAIL, Gateway, problem, running
from waybill_testkit.postgres.failover import read_only
from waybill_testkit.postgres.private import InstalledPostgres


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
async def test_while_the_ledger_is_away_callers_are_told_to_come_again_and_then_served(
    own_postgres: InstalledPostgres, tmp_path: Path, how: signal.Signals
) -> None:
    with own_postgres.database() as url:
        upgrade(url)
        async with running(tmp_path, ledger_url=url) as gateway:
            before = await gateway.post("/v1/emails", EMAIL, Idempotency_Key="one")
            assert before.status_code == HTTPStatus.ACCEPTED
            await asyncio.to_thread(own_postgres.stop, how)
            for refused in (
                await gateway.post("/v1/emails", EMAIL, Idempotency_Key="two"),
                await gateway.client.get(f"/v1/tasks/{before.json()['id']}"),
                await gateway.client.get("/v1/tasks"),
            ):
                assert "Idempotency-Key" in problem(refused, 503, "ledger_unavailable")["detail"]
                assert int(refused.headers["Retry-After"]) > 0
            assert (await gateway.client.get("/readyz")).status_code == HTTPStatus.SERVICE_UNAVAILABLE
            await asyncio.to_thread(own_postgres.start)
            await _served_again(gateway)
            assert (await gateway.client.get(f"/v1/tasks/{before.json()['id']}")).status_code == HTTPStatus.OK
            for key in ("one", "two"):
                answer = await gateway.post("/v1/emails", EMAIL, Idempotency_Key=key)
                assert answer.status_code == HTTPStatus.ACCEPTED, answer.text
            assert await gateway.count(TASKS) == 2


async def _served_again(gateway: Gateway) -> None:
    async def is_ready() -> bool:
        return (await gateway.client.get("/readyz")).status_code == HTTPStatus.OK

    await eventually(is_ready, 60)


async def test_a_ledger_that_is_frozen_is_not_waited_for_for_ever_and_loses_nothing(
    own_postgres: InstalledPostgres, tmp_path: Path
) -> None:
    with own_postgres.database() as url:
        upgrade(url)
        async with running(tmp_path, ledger_url=url, database_answer_seconds=1) as gateway:
            before = await gateway.post("/v1/emails", EMAIL, Idempotency_Key="one")
            assert before.status_code == HTTPStatus.ACCEPTED
            own_postgres.freeze()
            try:
                async with asyncio.timeout(60):
                    refused = await asyncio.gather(
                        gateway.post("/v1/emails", EMAIL, Idempotency_Key="two"),
                        gateway.client.get(f"/v1/tasks/{before.json()['id']}"),
                    )
            finally:
                own_postgres.thaw()
            for answer in refused:
                problem(answer, 503, "ledger_unavailable")
            await _served_again(gateway)
            for key in ("one", "two"):
                answer = await gateway.post("/v1/emails", EMAIL, Idempotency_Key=key)
                assert answer.status_code == HTTPStatus.ACCEPTED, answer.text
            assert await gateway.count(TASKS) == 2


async def test_while_the_ledger_can_only_be_read_posts_are_told_to_come_again(
    own_postgres: InstalledPostgres, tmp_path: Path
) -> None:
    with own_postgres.database() as url:
        upgrade(url)
        async with running(tmp_path, ledger_url=url) as gateway:
            before = await gateway.post("/v1/emails", EMAIL, Idempotency_Key="one")
            with read_only(own_postgres):
                refused = await gateway.post("/v1/emails", EMAIL, Idempotency_Key="two")
                problem(refused, 503, "ledger_unavailable")
                assert int(refused.headers["Retry-After"]) > 0
                ready = await gateway.client.get("/readyz")
                assert (ready.status_code, ready.json()["ledger"]) == (503, False)
                # What is only read is answered.
                known = await gateway.client.get(f"/v1/tasks/{before.json()['id']}")
                assert known.status_code == HTTPStatus.OK
                assert (await gateway.client.get("/healthz")).status_code == HTTPStatus.OK
            await _served_again(gateway)
            answer = await gateway.post("/v1/emails", EMAIL, Idempotency_Key="two")
            assert answer.status_code == HTTPStatus.ACCEPTED, answer.text
            assert await gateway.count(TASKS) == 2
