"""`waybill outbox` and `waybill relay`, as an operator uses them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from application import GatewayWithLedger, states, submitted
from shop import OUTBOX, record
from sqlalchemy import Engine, update

from waybill import outbox
from waybill_cli.main import run
from waybill_testkit.machine import free_ports

SECRET = "do not show this"


@pytest.fixture
def refused(application: Engine) -> list[str]:
    """Four rows, of which two are refused."""
    with application.begin() as connection:
        outbox.submit(connection, record(1, note=SECRET))
    ids = submitted(application, None, "a", None)
    with application.begin() as connection:
        is_bad = OUTBOX.c.id.in_(ids[:2])
        values = {"state": "refused", "error": "unknown_kind: not registered", "attempts": 1}
        connection.execute(update(OUTBOX).where(is_bad).values(values))
    return ids[:2]


def test_rows_are_listed_without_their_data(
    refused: list[str], database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["outbox", "ls", "--database", database_url, "--json"]) == 0
    shown = capsys.readouterr().out
    rows = [json.loads(line) for line in shown.splitlines()]
    assert len(rows) == 4
    assert SECRET not in shown
    assert [row["id"] for row in rows if row["state"] == "refused"] == refused
    assert run(["outbox", "ls", "--database", database_url, "--limit", "1"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_monitor_learns_of_refused_rows_by_the_exit_code(
    refused: list[str], application: Engine, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["outbox", "ls", "--refused", "--database", database_url]) == 1
    assert "unknown_kind" in capsys.readouterr().out
    assert run(["outbox", "drop", "--database", database_url, refused[0], "--yes"]) == 0
    assert run(["outbox", "retry", "--database", database_url, "--all"]) == 0
    assert set(states(application).values()) == {"waiting"}
    assert refused[0] not in states(application)
    assert run(["outbox", "ls", "--refused", "--database", database_url]) == 0


@pytest.mark.parametrize("id_", ["", "0", "%", "01a22e0", "01a22e07-b4d3\n", "01A22E07-B4D3"])
def test_what_is_no_id_names_no_row(
    refused: list[str], application: Engine, database_url: str, id_: str
) -> None:
    for command in (["drop", "--yes"], ["retry"]):
        assert run(["outbox", *command, "--database", database_url, refused[0], id_]) == 2
    assert [states(application)[each] for each in refused] == ["refused", "refused"]
    assert run(["outbox", "drop", "--yes", "--database", database_url, *(each[:18] for each in refused)]) == 0
    assert not states(application).keys() & set(refused)


def test_rows_that_wait_are_neither_dropped_nor_retried(application: Engine, database_url: str) -> None:
    [id_] = submitted(application, None)
    assert run(["outbox", "drop", "--database", database_url, id_, "--yes"]) == 1
    assert run(["outbox", "retry", "--database", database_url]) == 2
    assert states(application) == {id_: "waiting"}


def test_wrong_databases_are_named_without_their_password(capsys: pytest.CaptureFixture[str]) -> None:
    for url, code in (
        ("mysql://ann:s3cret@host/shop", 2),
        ("nonsense s3cret", 2),
        ("postgresql://ann:s3cret@127.0.0.1:1/shop", 3),
    ):
        assert run(["outbox", "ls", "--database", url]) == code
    assert "s3cret" not in capsys.readouterr().err


@pytest.mark.parametrize("command", [["ls"], ["retry", "--all"], ["drop", "--all", "--yes"]])
def test_a_file_that_is_not_there_is_named_and_not_made(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong-name.db"
    assert run(["outbox", *command, "--database", f"sqlite:///{wrong}"]) == 2
    assert f"there is no such file: {wrong}" in capsys.readouterr().err
    assert not wrong.exists()


def test_the_schema_and_the_rights_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["outbox", "schema", "--dialect", "sqlite"]) == 0
    assert "AUTOINCREMENT" in capsys.readouterr().out
    assert run(["outbox", "grants", "--schema", "waybill", "--user", "shop"]) == 0
    assert 'TO "shop";' in capsys.readouterr().out
    assert run(["outbox", "grants", "--user", 'shop"; DROP TABLE tasks; --']) == 2


def test_a_relay_serves_metrics_and_stops_in_order(
    application: Engine, database_url: str, accepting: GatewayWithLedger
) -> None:
    (port,) = free_ports(1)
    environment = os.environ | {"WAYBILL_URL": accepting.url, "WAYBILL_OUTBOX_DATABASE": database_url}
    command = [sys.executable, "-m", "waybill_cli", "relay", "--metrics", str(port)]
    submitted(application, None, None)
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as relay:
        deadline = time.monotonic() + 60
        while states(application) and time.monotonic() < deadline:
            time.sleep(0.05)
        metrics = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
        relay.send_signal(signal.SIGTERM)
        assert relay.wait(30) == 0
    assert "waybill_outbox_accepted_total 2.0" in metrics
    assert "waybill_outbox_waiting_rows 0.0" in metrics
    assert "waybill_outbox_lag_seconds 0.0" in metrics
