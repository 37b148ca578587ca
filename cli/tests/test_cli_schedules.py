import httpx
import pytest
from command_under_test import EMAIL, Waybill

from waybill_testkit.gateway.served import Served

SCHEDULE = {"name": "weekly", "kind": "email.requested", "cron": "0 8 * * MON", "body": EMAIL}


@pytest.fixture
def weekly(gateway: Served) -> str:
    made = httpx.post(f"{gateway.url}/v1/schedules", json=SCHEDULE).raise_for_status()
    schedule_id: str = made.json()["id"]
    return schedule_id


def test_schedules_are_listed_and_shown_by_name_or_id(weekly: str, waybill: Waybill) -> None:
    listed = waybill("schedules", "ls").out.splitlines()[1]
    assert listed.startswith("weekly  email.requested  0 8 * * MON UTC  active  in ")
    assert waybill("schedules", "show", "weekly", "--json").document["id"] == weekly
    assert "0 8 * * MON" in waybill("schedules", "show", weekly).out


def test_a_schedule_is_paused_and_resumed(weekly: str, waybill: Waybill) -> None:
    assert waybill("schedules", "pause", "weekly").out == "paused  weekly\n"
    assert waybill("schedules", "show", weekly, "--json").document["paused"] is True
    assert waybill("schedules", "resume", "weekly").out.startswith("active  weekly, next ")


def test_a_schedule_is_run_by_hand(weekly: str, waybill: Waybill) -> None:
    waybill("schedules", "pause", "weekly")
    ran = waybill("schedules", "run", "weekly", "--json")
    assert ran.code == 0
    last = waybill("schedules", "show", weekly, "--json").document["last_tasks"]
    assert [task["id"] for task in last] == [ran.document["id"]]


def test_a_schedule_is_removed_only_when_that_is_meant(weekly: str, waybill: Waybill) -> None:
    assert waybill("schedules", "rm", "weekly").code == 2
    assert waybill("schedules", "rm", "weekly", "--yes").code == 0
    gone = waybill("schedules", "show", "weekly")
    assert gone.code == 4
    assert "no schedule weekly" in gone.err
    assert waybill("schedules", "show", weekly).code == 4


def test_an_account_that_balances_exits_0(gateway: Served, waybill: Waybill) -> None:
    gateway.post("/v1/emails", EMAIL)
    account = waybill("accounting", "--since", "1h")
    assert (account.code, account.out.splitlines()[-1]) == (0, "balanced")
    total = account.out.splitlines()[2].split()
    assert total[:2] == ["total", "1"]
    assert waybill("accounting", "--json").document["total"]["pending"] == 1


def test_an_account_with_a_task_that_cannot_be_placed_exits_1(gateway: Served, waybill: Waybill) -> None:
    task = gateway.post("/v1/emails", EMAIL)
    gateway.forget_subtasks(task)
    account = waybill("accounting")
    assert account.code == 1
    assert account.out.splitlines()[-1] == "not balanced: 1 cannot be placed"
    assert task in account.out
