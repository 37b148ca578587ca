import pytest
from command_under_test import EMAIL, Waybill

from waybill_contracts.wire.lifecycle import LifecycleType
from waybill_testkit.gateway.served import Served
from waybill_testkit.samples import reported

ADDRESS = EMAIL["to"]


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


def test_a_dry_run_changes_nothing(gateway: Served, waybill: Waybill) -> None:
    done(gateway)
    ran = waybill("persons", "erase", ADDRESS, "--dry-run")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "nothing was erased")
    assert waybill("persons", "show", ADDRESS, "--json").document["tasks"]["completed"] == 1


def test_nobody_is_there_to_confirm(gateway: Served, waybill: Waybill) -> None:
    done(gateway)
    ran = waybill("persons", "erase", ADDRESS)
    assert ran.code == 2
    assert "Erase it for good?" in ran.err
    assert waybill("persons", "show", ADDRESS, "--json").document["tasks"]["completed"] == 1


def test_what_has_ended_is_erased_in_steps_and_the_trail_does_not_tell_of_whom(
    gateway: Served, waybill: Waybill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("waybill_gateway.persons.routes.ERASE_STEP", 2)
    tasks = [done(gateway) for _ in range(5)]
    before = waybill("accounting", "--json").document

    ran = waybill("persons", "erase", ADDRESS, "--yes", "--json", "--actor", "eve")

    assert ran.code == 0
    assert (ran.document["erased"]["tasks"], ran.document["open"]) == (5, 0)
    shown = waybill("tasks", "show", tasks[0], "--json")
    assert (shown.document["about"], shown.document["state"]) == ("[erased]", "completed")
    assert shown.document["erased_at"] is not None
    assert "erased" in waybill("tasks", "show", tasks[0]).out
    assert waybill("accounting", "--json").document == before
    deeds = waybill("dlq", "audit", "--action", "erase", "--json")
    assert [deed["details"]["tasks"] for deed in deeds.lines] == [1, 2, 2]
    assert {deed["details"]["erasure"] for deed in deeds.lines} == {ran.document["erasure"]}
    assert {deed["actor"] for deed in deeds.lines} == {"eve"}
    assert "example.com" not in deeds.out
    again = waybill("persons", "erase", ADDRESS, "--yes", "--json")
    assert (again.code, sum(again.document["held"]["tasks"].values())) == (0, 0)


def test_what_is_open_is_told_and_cancelled_if_asked_for(gateway: Served, waybill: Waybill) -> None:
    later = gateway.post("/v1/emails", EMAIL | {"delay_seconds": 3600})
    on_its_way = gateway.post("/v1/emails", EMAIL)

    ran = waybill("persons", "erase", ADDRESS, "--yes")

    assert ran.code == 1
    assert "2 task(s) have no outcome yet (1 pending, 1 scheduled) and stay as they are" in ran.err
    ran = waybill("persons", "erase", ADDRESS, "--yes", "--cancel", "--json")
    # One had not begun; the services are told of the other.
    assert (ran.code, ran.document["erased"]["tasks"], ran.document["open"]) == (1, 1, 1)
    assert waybill("tasks", "show", later, "--json").document["about"] == "[erased]"
    gateway.happened(reported(LifecycleType.CANCELLED, on_its_way))
    ran = waybill("persons", "erase", ADDRESS, "--yes", "--json")
    assert (ran.code, ran.document["erased"]["tasks"], ran.document["open"]) == (0, 1, 0)


def done(gateway: Served) -> str:
    task = gateway.post("/v1/emails", EMAIL)
    gateway.happened(reported(LifecycleType.STARTED, task), reported(LifecycleType.COMPLETED, task))
    return task


def test_tasks_are_erased_by_name_where_nobody_knows_whom_they_are_about(
    gateway: Served, waybill: Waybill
) -> None:
    record = {"target": "crm", "resource": "contacts", "id": "17", "data": {"name": "Ada"}}
    ids = [gateway.post("/v1/syncs", record) for _ in range(2)]
    for id_ in ids:
        gateway.happened(reported(LifecycleType.COMPLETED, id_, service="sync", kind="sync.requested"))

    ran = waybill("tasks", "erase", *ids, ids[0], "--yes")

    assert (ran.code, ran.out.splitlines()[-1].split(";")[0]) == (
        0,
        "erased 2 task(s), 0 letter(s), 0 schedule(s), 0 reset link(s)",
    )
    assert "contacts/17" not in waybill("tasks", "ls", "--json").out
    nowhere = "01a20797-6d09-71fe-b759-803ec3a459ee"
    assert waybill("tasks", "erase", nowhere, "--yes").code == 4
