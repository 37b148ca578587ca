from collections.abc import Iterator
from pathlib import Path

import pytest
from command_under_test import EMAIL, Served, Waybill, served

ADDRESS = EMAIL["to"]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        yield running


@pytest.fixture
def waybill(gateway: Served, capsys: pytest.CaptureFixture[str]) -> Waybill:
    return Waybill(capsys, gateway.url)


def test_it_shows_how_much_is_held_and_not_what(gateway: Served, waybill: Waybill) -> None:
    gateway.post("/v1/emails", EMAIL)
    gateway.post("/v1/password-resets", {"email": ADDRESS.upper()})
    gateway.post("/v1/emails", EMAIL | {"to": "bob@example.com"})

    ran = waybill("persons", "show", ADDRESS)

    assert ran.code == 0
    shown = dict(line.split("  ", 1) for line in ran.out.splitlines())
    assert {name: value.strip() for name, value in shown.items()} == {
        "tasks": "2 pending",
        "dead letters": "0",
        "schedules": "0",
        "reset links": "1",
        "idempotency keys": "0",
        "uploaded files": "0",
    }
    told = waybill("persons", "show", ADDRESS, "--json")
    assert told.document["tasks"]["pending"] == told.document["open"] == 2
    for word in (ADDRESS, EMAIL["subject"], "example.com"):
        assert word not in ran.out + told.out
    assert waybill("persons", "show", ADDRESS, "--tenant", "acme", "--json").document["open"] == 0


def test_what_is_no_address_is_refused(waybill: Waybill) -> None:
    ran = waybill("persons", "show", "ada")
    assert (ran.code, ran.out) == (4, "")
    assert "whole mail address" in ran.err
    assert "ada" not in ran.err
