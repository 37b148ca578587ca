"""Ids by their beginning, shared options anywhere, one verb for listings, and no question in vain."""

import json
from pathlib import Path
from uuid import uuid4

import pytest
from command_under_test import EMAIL, NOWHERE, WAYBILL, Waybill
from desk_of_command import dead
from terminal import ran_on_a_terminal

from waybill_cli.main import run
from waybill_contracts.wire.lifecycle import LifecycleType
from waybill_testkit.gateway.served import Served
from waybill_testkit.samples import reported

SCHEDULE = {"name": "hello", "kind": "email.requested", "cron": "0 8 * * MON", "body": EMAIL}


def beginning(one: str, *others: str) -> str:
    """As much of an id as tells it from others."""
    return next(one[:size] for size in range(1, 37) if not any(o.startswith(one[:size]) for o in others))


def test_a_task_is_meant_by_the_beginning_of_its_id(gateway: Served, waybill: Waybill) -> None:
    one, other = (gateway.post("/v1/emails", EMAIL | {"delay_seconds": 600}) for _ in range(2))
    start = beginning(one, other)
    assert waybill("tasks", "show", start, "--json").document["id"] == one
    assert waybill("tasks", "show", start.upper(), "--json").document["id"] == one
    assert waybill("tasks", "show", one.replace("-", ""), "--json").document["id"] == one
    assert waybill("tasks", "cancel", start, "--yes").out == f"prevented  {one}\n"
    assert waybill("tasks", "watch", start).out.splitlines()[-1] == f"{one} is cancelled"
    assert waybill("tasks", "erase", start, "--yes", "--json").document["erased"]["tasks"] == 1


def test_a_beginning_of_several_ids_is_refused_and_names_them(gateway: Served, waybill: Waybill) -> None:
    ids = [gateway.post("/v1/emails", EMAIL) for _ in range(2)]
    refused = waybill("tasks", "show", ids[0][:4])
    assert (refused.code, refused.out) == (4, "")
    assert f"2 ids begin with {ids[0][:4]}" in refused.err
    for each in ids:
        assert f"  {each}  pending, a***@example.com" in refused.err
    for _ in range(10):
        gateway.post("/v1/emails", EMAIL)
    many = waybill("tasks", "cancel", ids[0][:4], "--yes")
    assert many.code == 4
    assert "more than 10 ids begin" in many.err
    assert many.err.count("pending") == 10
    assert "and more" in many.err
    assert waybill("tasks", "ls", "--state", "cancelled", "--json").lines == []


@pytest.mark.parametrize("what", ["show", "watch", "cancel", "erase"])
def test_what_is_no_id_is_told_in_words(waybill: Waybill, what: str) -> None:
    unknown = waybill("tasks", what, "123", *(["--yes"] if what in {"cancel", "erase"} else []))
    assert (unknown.code, "there is no task whose id begins with 123" in unknown.err) == (4, True)
    for wrong in ("12x", "-", "0" * 37):
        refused = waybill("tasks", what, "--", wrong)
        assert refused.code == 2
        assert f"'{wrong}' is no id of a task" in refused.err
        assert "hexadecimal UUID" not in refused.err


def test_schedules_keys_and_groups_are_meant_so_too(gateway: Served, waybill: Waybill) -> None:
    schedule, other = (gateway.post("/v1/schedules", SCHEDULE | {"name": name}) for name in ("one", "two"))
    start = beginning(schedule, other)
    for named in (start, schedule, "one"):
        assert waybill("schedules", "show", named, "--json").document["id"] == schedule
    assert waybill("schedules", "pause", start).out.startswith("paused  one")
    # A name counts before ids that begin so.
    third = gateway.post("/v1/schedules", SCHEDULE | {"name": start})
    assert waybill("schedules", "show", start, "--json").document["id"] == third

    keys = [waybill("keys", "create", "--name", n, "--scope", "read", "--json").document["id"] for n in "ab"]
    start = beginning(*keys)
    assert waybill("keys", "show", start, "--json").document["id"] == keys[0]
    assert waybill("keys", "revoke", start, "--yes", "--json").document["id"] == keys[0]
    assert "whose id begins with x" in waybill("keys", "show", "x").err

    [task] = dead(gateway)
    [group] = waybill("dlq", "groups", "--json").lines
    for start in (group["id"][:8], group["id"]):
        assert waybill("dlq", "ls", "--group", start, "--json").document["task_id"] == task
        assert waybill("dlq", "export", "--group", start).document["task_id"] == task
        assert waybill("dlq", "note", start, "ticket 7").code == 0
        assert waybill("dlq", "plan", "--group", start, "--json").document["letters"] == 1
        assert waybill("audit", "--group", start, "--action", "note", "--json").lines
    assert waybill("dlq", "ls", "--task", task[:18], "--json").document["task_id"] == task
    assert waybill("dlq", "show", "ffffffff").code == 4


@pytest.mark.parametrize(
    "before",
    [
        ["--url", "{url}", "tasks", "ls"],
        ["tasks", "--url", "{url}", "ls"],
        ["tasks", "ls", "--url", "{url}"],
        ["--url", NOWHERE, "tasks", "ls", "--url", "{url}"],
        ["--url", NOWHERE, "tasks", "--url", "{url}", "ls"],
        ["--json", "--actor", "ann", "--api-key", "k", "--url", "{url}", "dlq", "ls"],
        ["--url", "{url}", "accounting"],
    ],
)
def test_where_the_gateway_is_may_be_said_at_every_level(
    gateway: Served, capsys: pytest.CaptureFixture[str], before: list[str]
) -> None:
    assert run([word.replace("{url}", gateway.url) for word in before]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "line",
    [
        ["--amqp", "http://x", "queues"],
        ["queues", "--amqp", "http://x"],
        ["--amqp", "http://x", "dlq", "--direct", "configured", "ls"],
    ],
)
def test_where_the_broker_is_may_be_said_at_every_level(
    capsys: pytest.CaptureFixture[str], line: list[str]
) -> None:
    assert run(line) == 2
    assert "the address from the command line is no URL like amqp://" in capsys.readouterr().err


@pytest.mark.parametrize("group", [["tasks"], ["schedules"], ["keys"], ["dlq"], ["kinds"], ["services"]])
def test_ls_lists_and_list_is_the_same(waybill: Waybill, group: list[str]) -> None:
    listed = waybill(*group, "ls", "--json")
    assert listed.code == 0
    same = waybill(*group, "list", "--json")
    assert (same.code, same.out) == (0, listed.out)
    shown = waybill(*group, "--help").out
    assert "\n  ls " in shown
    assert "\n  list " not in shown


def test_there_is_no_question_before_what_cannot_happen(gateway: Served, waybill: Waybill) -> None:
    """Without `--yes` and anybody to ask, whoever asks all the same ends with 2."""
    done = gateway.post("/v1/emails", EMAIL)
    gateway.happened(reported(LifecycleType.COMPLETED, done))
    refused = waybill("tasks", "cancel", done)
    assert (refused.code, "completed already" in refused.err) == (4, True)
    open_task = gateway.post("/v1/emails", EMAIL)
    assert waybill("tasks", "erase", open_task).code == 1
    assert waybill("tasks", "erase", open_task, "--cancel").code == 2
    assert waybill("tasks", "erase", done).code == 2

    assert waybill("schedules", "rm", str(uuid4())).code == 4
    assert waybill("schedules", "rm", "no-such").code == 4
    assert waybill("keys", "revoke", "0" * 16).code == 4
    key = waybill("keys", "create", "--name", "a", "--scope", "read", "--json").document["id"]
    assert waybill("keys", "revoke", key).code == 2
    waybill("keys", "revoke", key, "--yes")
    assert waybill("keys", "revoke", key).out == "already revoked  a\n"

    nothing = waybill("dlq", "discard", "7", "--because", "gone")
    assert (nothing.code, "no matching letter" in nothing.out) == (0, True)
    assert waybill("dlq", "start", 7).code == 4
    assert waybill("dlq", "cancel", 7).code == 4
    dead(gateway)
    assert waybill("dlq", "discard", "1", "--because", "gone").code == 2
    assert waybill("dlq", "plan", "1").code == 0
    assert waybill("dlq", "start", 1).code == 2
    assert waybill("dlq", "cancel", 1, "--yes").code == 0
    assert (waybill("dlq", "start", 1).code, waybill("dlq", "cancel", 1).code) == (4, 4)


def test_a_plan_is_started_by_the_beginning_of_its_hash(gateway: Served, waybill: Waybill) -> None:
    dead(gateway)
    plan = waybill("dlq", "plan", "1", "--json").document
    other = "0" if plan["hash"][0] != "0" else "1"
    for wrong in (plan["hash"][:11], other + plan["hash"][1:12], other + plan["hash"][1:]):
        refused = waybill("dlq", "start", 1, "--hash", wrong, "--yes", "--no-wait")
        assert refused.code == 4, wrong
    assert waybill("dlq", "start", 1, "--hash", plan["hash"][:12], "--yes", "--no-wait").code == 0


def test_a_question_is_asked_on_stderr_with_what_will_happen(gateway: Served, tmp_path: Path) -> None:
    dead(gateway, 2)
    line = [*WAYBILL, "dlq", "discard", "--service", "sync", "--because", "x", "--json", "--url", gateway.url]
    out = tmp_path / "out"
    with out.open("wb") as file:
        shown, code = ran_on_a_terminal(line, typed="y\n", streams={"stdout": file}, NO_COLOR="1")
    assert code == 0
    assert "Discard 2 letter(s): all letters with service sync? [y/N]" in shown
    assert json.loads(out.read_text())["changed"] == 2
