from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from command_under_test import Waybill

from waybill_ledger.__main__ import main as ledger_main
from waybill_testkit.gateway.served import Served, served


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, gateway_auth="keys") as running:
        yield running


@pytest.fixture
def admin(gateway: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(
        "sys.argv", ["ledger", "key", "--url", gateway.ledger_url, "--name", "root", "--scope", "admin"]
    )
    assert ledger_main() == 0
    return capsys.readouterr().out.strip()


@pytest.fixture
def waybill(
    gateway: Served, admin: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Waybill:
    monkeypatch.setenv("WAYBILL_API_KEY", admin)
    return Waybill(capsys, gateway.url)


def status(gateway: Served, token: str) -> int:
    return httpx.get(f"{gateway.url}/v1/tasks", headers={"Authorization": f"Bearer {token}"}).status_code


def test_without_a_key_the_command_says_where_it_would_come_from(
    gateway: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = Waybill(capsys, gateway.url)("tasks", "ls")
    assert ran.code == 4
    assert "WAYBILL_API_KEY" in ran.err


def test_a_key_is_created_shown_rotated_and_revoked(gateway: Served, waybill: Waybill) -> None:
    made = waybill("keys", "create", "--name", "shop", "--scope", "read", "--json").document
    assert status(gateway, made["token"]) == 200

    shown = waybill("keys", "show", made["id"])
    assert "shop" in shown.out
    assert made["token"] not in shown.out
    rotated = waybill("keys", "rotate", made["id"], "--overlap-hours", "0")
    token = next(line for line in rotated.out.splitlines() if line.startswith("wb_"))
    assert (status(gateway, token), status(gateway, made["token"])) == (200, 401)

    assert waybill("keys", "revoke", made["id"]).code == 2, "nobody is there to ask"
    assert waybill("keys", "revoke", made["id"], "--yes").out == "revoked  shop\n"
    assert status(gateway, token) == 401
    listed = waybill("keys", "list").out
    assert "revoked" in listed
    assert "root" in listed
    assert waybill("keys", "rotate", made["id"]).code == 4


def test_a_scope_that_is_none_is_refused_with_those_that_are(waybill: Waybill) -> None:
    ran = waybill("keys", "create", "--name", "shop", "--scope", "everything")
    assert ran.code == 4
    assert "'submit', 'read'" in ran.err
