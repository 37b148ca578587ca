"""Whom a gateway believes about who calls."""

from pathlib import Path

import httpx
import pytest
from keys_under_test import bearer
from structlog.testing import capture_logs

from waybill_gateway.process import GatewayProcess
from waybill_ledger import Secret
from waybill_testkit.empty_ledger import put_empty_ledger
from waybill_testkit.gateway.in_process import problem, settings_in
from waybill_testkit.machine.ports import LOOPBACK, free_ports

FORWARDED = "203.0.113.9"


@pytest.mark.parametrize(
    ("trusted", "logged"),
    [
        ((), LOOPBACK),
        (("10.0.0.0/8",), LOOPBACK),
        ((LOOPBACK,), FORWARDED),
        (("127.0.0.0/8",), FORWARDED),
    ],
)
async def test_only_a_proxy_that_was_named_is_believed(
    tmp_path: Path, trusted: tuple[str, ...], logged: str
) -> None:
    [port] = free_ports(1)
    settings = settings_in(
        tmp_path, gateway_auth="keys", host=LOOPBACK, port=port, trusted_proxies=trusted, drain_seconds=0
    )
    put_empty_ledger(tmp_path / "ledger.db")
    process = GatewayProcess(settings)
    await process.start()
    try:
        with capture_logs() as logs:
            async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}", trust_env=False) as client:
                wrong = bearer(Secret.new().token) | {"X-Forwarded-For": FORWARDED}
                problem(await client.get("/v1/tasks", headers=wrong), 401, "key_unknown")
    finally:
        await process.stop()

    assert [log["address"] for log in logs if log["event"] == "a request with a wrong key"] == [logged]
