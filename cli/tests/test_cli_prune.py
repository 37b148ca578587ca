from command_under_test import EMAIL, Waybill

from waybill_contracts.wire.lifecycle import LifecycleType
from waybill_testkit.gateway.served import Served
from waybill_testkit.samples import reported


def ended(gateway: Served, count: int, type_: LifecycleType = LifecycleType.COMPLETED) -> list[str]:
    """Tasks whose record is of the samples' noon, which is long ago."""
    tasks = [gateway.post("/v1/emails", EMAIL) for _ in range(count)]
    for task in tasks:
        gateway.happened(reported(LifecycleType.STARTED, task), reported(type_, task))
    gateway.published()
    return tasks


def test_a_dry_run_reports_and_changes_nothing(gateway: Served, waybill: Waybill) -> None:
    ended(gateway, 2)

    ran = waybill("prune", "--older-than", "30d", "--dry-run")

    assert ran.code == 0
    assert [line.split() for line in ran.out.splitlines()[1:4]] == [
        ["completed", "2", "0"],
        ["failed", "0", "0"],
        ["cancelled", "0", "0"],
    ]
    assert ran.out.splitlines()[-1] == "nothing was deleted"
    assert len(waybill("tasks", "ls", "--json").lines) == 2


def test_what_is_old_is_deleted_and_the_account_adds_up(gateway: Served, waybill: Waybill) -> None:
    ended(gateway, 2)
    waiting = gateway.post("/v1/emails", EMAIL)

    ran = waybill("prune", "--older-than", "30d", "--yes")

    assert (ran.code, ran.out.splitlines()[-1]) == (0, "deleted 2 task(s)")
    assert [task["id"] for task in waybill("tasks", "ls", "--json").lines] == [waiting]
    account = waybill("accounting", "--json").document
    assert account["balanced"]
    assert (account["total"]["accepted"], account["total"]["completed"], account["total"]["pruned"]) == (
        3,
        2,
        2,
    )
    assert waybill("prune", "--older-than", "30d", "--yes", "--json").document["pruned"] == 0


def test_the_audit_trail_names_who_pruned_tasks(gateway: Served, waybill: Waybill) -> None:
    ended(gateway, 2)

    waybill("prune", "--older-than", "30d", "--dry-run", "--actor", "ann")
    waybill("prune", "--older-than", "30d", "--yes", "--actor", "ann")

    [deed] = waybill("dlq", "audit", "--json").lines
    assert (deed["actor"], deed["action"]) == ("ann", "prune")
    assert (deed["details"]["tasks"], deed["details"]["state"]) == (2, "completed")


def test_only_the_states_that_are_named_go(gateway: Served, waybill: Waybill) -> None:
    ended(gateway, 1)
    [failed] = ended(gateway, 1, LifecycleType.DEAD)

    answer = waybill("prune", "--older-than", "30d", "--state", "completed", "--yes", "--json").document

    assert answer["plan"] == {"completed": {"tasks": 1, "kept": 0}}
    assert [task["id"] for task in waybill("tasks", "ls", "--json").lines] == [failed]


def test_without_a_terminal_it_needs_a_yes(gateway: Served, waybill: Waybill) -> None:
    ended(gateway, 1)

    ran = waybill("prune", "--older-than", "30d")

    assert ran.code == 2
    assert "Delete 1 task(s)" in ran.err
    assert len(waybill("tasks", "ls", "--json").lines) == 1


def test_what_ended_just_now_is_refused(waybill: Waybill) -> None:
    ran = waybill("prune", "--older-than", "5m", "--yes")
    assert (ran.code, ran.out) == (2, "")
    assert "at least an hour" in ran.err


def test_what_failed_may_have_a_letter_on_its_way_and_stays_for_days(
    gateway: Served, waybill: Waybill
) -> None:
    for chosen in ((), ("--state", "failed")):
        ran = waybill("prune", "--older-than", "2d", "--yes", *chosen)
        assert (ran.code, ran.out) == (2, "")
        assert "at least 3 days for failed tasks" in ran.err
    ended(gateway, 1)
    others = ("--state", "completed", "--state", "cancelled")
    assert waybill("prune", "--older-than", "2d", "--yes", *others).code == 0
    assert waybill("tasks", "ls", "--json").lines == []
