"""What pages say of a task and of the whole: bars, reasons, findings. Without a browser."""

from datetime import timedelta
from typing import Any

import pytest

from waybill_contracts.registry import built_in_registry
from waybill_contracts.states import State
from waybill_gateway.desk.group_views import GroupLinks, GroupView
from waybill_gateway.stats.findings import STALE_SECONDS, Snapshot, findings
from waybill_gateway.stats.measured import Seen, seen_by
from waybill_gateway.tasks.models import SubtaskView, TaskView, TimelineEventView, links_of
from waybill_gateway.ui.overview.services import services_of
from waybill_gateway.ui.tasks.reasons import Facts, put_off_by, reasons
from waybill_gateway.ui.tasks.waterfall import waterfall
from waybill_ledger import Gap, Measurement, OpenWork, QueueMeasured, Unplaced
from waybill_ledger.deadletters import GroupState, LetterState
from waybill_ledger.outbox import Unpublished
from waybill_testkit.samples import NOON

REGISTRY = built_in_registry()


def after(seconds: float) -> Any:
    return NOON + timedelta(seconds=seconds)


def subtask(state: State, **fields: Any) -> SubtaskView:
    standard: dict[str, Any] = {
        "service": "email",
        "attempt": 0,
        "max_attempts": None,
        "next_attempt_at": None,
        "redrive_no": 0,
        "updated_at": NOON,
        "progress": None,
        "result": None,
        "error": None,
    }
    return SubtaskView(state=state, **standard | fields)


def task(*parts: SubtaskView, **fields: Any) -> TaskView:
    standard: dict[str, Any] = dict.fromkeys(
        ("due_at", "completed_at", "trace_id", "schedule", "parent", "erased_at")
    )
    standard |= {
        "id": "t",
        "kind": "k",
        "correlation_id": "t",
        "about": "",
        "priority": "normal",
        "children": 0,
    }
    return TaskView(
        **standard | {"state": parts[0].state, "created_at": NOON} | fields,
        subtasks=list(parts),
        links=links_of("t"),
    )


def event(type_: str, at: float, attempt: int = 1, **details: Any) -> TimelineEventView:
    return TimelineEventView(
        type=f"task.{type_}",
        at=after(at),
        service="email",
        attempt=attempt,
        redrive_no=0,
        details=details,
    )


def bars(shown: TaskView, *events: TimelineEventView, now: float = 100) -> list[tuple[str, float, float]]:
    [lane] = waterfall(shown, events, after(now)).lanes
    return [
        (bar.look, (bar.begins - NOON).total_seconds(), (bar.ends - NOON).total_seconds())
        for bar in lane.bars
    ]


def test_an_attempt_whose_start_was_not_reported_began_its_seconds_before() -> None:
    done = task(subtask(State.COMPLETED, attempt=1))
    assert bars(done, event("completed", 5, seconds=2.0)) == [("queue", 0, 3), ("completed", 3, 5)]


def test_what_still_goes_on_lasts_until_now() -> None:
    running = task(subtask(State.RUNNING, attempt=1))
    assert bars(running, event("started", 4)) == [("queue", 0, 4), ("running", 4, 100)]
    assert bars(task(subtask(State.PENDING))) == [("queue", 0, 100)]


def test_a_task_that_is_due_later_is_scheduled_first() -> None:
    later = task(subtask(State.SCHEDULED), due_at=after(500))
    assert bars(later) == [("scheduled", 0, 500)]


def test_a_redrive_begins_a_new_wait() -> None:
    redriven = task(subtask(State.COMPLETED, attempt=1))
    events = (
        event("started", 1),
        event("dead", 2),
        event("redriven", 50),
        event("started", 51),
        event("completed", 53),
    )
    assert bars(redriven, *events) == [
        ("queue", 0, 1),
        ("failed", 1, 2),
        ("queue", 50, 51),
        ("completed", 51, 53),
    ]


@pytest.mark.parametrize("seconds", [0.0004, 0.7, 9, 61, 3000, 90_000, 4_000_000])
def test_the_line_of_time_has_a_few_marks_within_it(seconds: float) -> None:
    done = task(subtask(State.COMPLETED, attempt=1))
    shown = waterfall(done, [event("completed", seconds)], after(seconds))
    assert 2 <= len(shown.ticks) <= 5
    assert all(0 <= place <= 100 for place, _ in shown.ticks)
    assert len({words for _, words in shown.ticks}) == len(shown.ticks)


def why(shown: TaskView, now: float = 100, **facts: Any) -> str:
    standard: dict[str, Any] = {"unpublished": (), "work": (), "broker_is_connected": True}
    [(service, words)] = reasons(shown, Facts(now=after(now), registry=REGISTRY, **standard | facts))
    assert service == "email"
    return words


def test_each_wait_has_its_words() -> None:
    pending = task(subtask(State.PENDING))
    work = [OpenWork("email", State.PENDING, 1200, NOON, 0), OpenWork("email", State.RUNNING, 8, NOON, 0)]
    assert why(pending, work=work) == (
        "It waits in the queue of email: 1,200 wait there, the oldest for 1 min 40 s, and 8 run."
    )
    assert "does a process of it run?" in why(pending, work=work[:1])
    assert "low priority" in why(pending, unpublished=[Unpublished(NOON, held=True)])
    stored = [Unpublished(NOON, held=False)]
    assert "broker cannot be reached" in why(pending, unpublished=stored, broker_is_connected=False)
    assert "not known to be at the broker" in why(pending, unpublished=stored)
    assert "It waits in the queue" in why(pending, now=3, unpublished=stored)
    error = {"type": "TransientError", "message": "refused"}
    retries = subtask(State.RETRYING, attempt=2, max_attempts=4, error=error, next_attempt_at=after(160))
    assert why(task(retries)).startswith(
        "Attempt 2 of 4 ended with TransientError: refused. The next one begins in 1 min"
    )
    assert "The next one is due. It waits in the queue" in why(task(retries), now=170)
    assert why(task(subtask(State.RUNNING, attempt=1))).startswith(
        "Attempt 1 runs: the last report came 1 min ago"
    )


def test_an_attempt_that_is_put_off_says_until_when_and_why() -> None:
    error = {"type": "CircuitOpenError", "message": "crm did not answer"}
    shown = task(subtask(State.RETRYING, attempt=2, error=error, next_attempt_at=after(160)))
    words = why(shown, put_off=frozenset({"email"}))
    assert words.startswith("Attempt 2 is put off until in 1 min (")
    assert "because the other side did not answer lately, and is not asked for a while" in words
    assert "(CircuitOpenError: crm did not answer). It counts as none." in words
    assert "put off" not in why(shown)


def test_what_no_release_reads_waits_for_one() -> None:
    pending = task(subtask(State.PENDING), kind="email.requested")
    words = why(pending, version=2)
    assert words == (
        "Its data is of version 2 of email.requested, and email reads 1: "
        "it waits for a release that reads it."
    )
    assert "version" not in why(pending, version=1)
    gone = task(subtask(State.PENDING), kind="sync.requested")
    assert "does not handle sync.requested any more" in why(gone, version=1)


def test_only_the_last_report_of_a_service_says_that_it_put_off() -> None:
    events = [event("snoozed", 1), event("started", 2)]
    assert put_off_by(events[:1]) == {"email"}
    assert put_off_by(events) == frozenset()


def test_who_has_ended_needs_no_reason() -> None:
    facts = Facts(now=NOON, registry=REGISTRY, unpublished=(), work=(), broker_is_connected=True)
    assert reasons(task(subtask(State.COMPLETED)), facts) == []


QUEUES = {f"{name}.work": QueueMeasured(0, 1) for name in REGISTRY.services}


def measured(**fields: Any) -> Seen:
    standard: dict[str, Any] = {
        "at": after(95),
        "work": (),
        "gaps": (),
        "queues": QUEUES,
        "unpublished": 0,
        "oldest_unpublished": None,
        "bytes": 1,
        "is_whole": True,
    }
    return Seen(**standard | fields)


def found(
    *groups: GroupView, broker_is_connected: bool = True, now: float = 100, **fields: Any
) -> list[tuple[str, str]]:
    seen = Snapshot(measured(**fields), groups, is_whole=True, broker_is_connected=broker_is_connected)
    return [(each.weight, each.title) for each in findings(seen, after(now), REGISTRY)]


def test_nothing_is_found_where_all_is_well() -> None:
    work = [OpenWork("email", State.PENDING, 3, after(60), 0), OpenWork("email", State.RETRYING, 3, NOON, 0)]
    assert found(work=work) == []


def test_what_is_found_is_the_worst_first() -> None:
    lost = Gap(1, Unplaced("t", "k", "pending", NOON, ("it has no subtasks",)))
    group = GroupView(
        id="0" * 32,
        state=GroupState.REGRESSED,
        service="sync",
        kind=None,
        error_type="KeyError",
        message="city",
        frame=None,
        letters={LetterState.DEAD: 2, LetterState.RECOVERED: 5, LetterState.REDRIVING: 1},
        total=8,
        first_seen=NOON,
        last_seen=NOON,
        trend=[0] * 24,
        sample=1,
        note=None,
        links=GroupLinks(self="", letters="", export=""),
    )
    work = [
        OpenWork("email", State.PENDING, 9, NOON, 0),
        OpenWork("sync", State.PENDING, 7, NOON, 0),
        OpenWork("sync", State.RUNNING, 1, NOON, 0),
    ]
    assert found(group, gaps=[lost], broker_is_connected=False, work=work) == [
        ("bad", "1 of the last day's tasks cannot be placed"),
        ("warn", "The broker cannot be reached from here"),
        ("bad", "email: 9 wait, the oldest for 1 min 40 s"),
        ("warn", "sync: 7 wait, the oldest for 1 min 40 s"),
        ("bad", "sync: 3 failed for good with KeyError"),
    ]


def test_what_is_found_of_the_services_and_their_queues() -> None:
    nobody = QUEUES | {"email.work": QueueMeasured(0, 0)}
    assert found(queues=nobody) == [("warn", "No process of email takes work")]
    waits = [OpenWork("email", State.PENDING, 9, after(97), 0)]
    assert found(queues=nobody, work=waits) == [("bad", "email: 9 wait, the oldest for 3.0 s")]
    assert found(queues=None) == []
    # A process that starts again is not reported.
    restarting = QUEUES | {
        "email.work": QueueMeasured(0, 0, after(70)),
        "email.dlq": QueueMeasured(4, 0, after(70)),
    }
    assert found(queues=restarting) == []
    gone = QUEUES | {"email.work": QueueMeasured(0, 0, after(30))}
    assert found(queues=gone) == [("warn", "No process of email takes work")]
    letters = QUEUES | {"email.dlq": QueueMeasured(4, 0), "sync.dlq": QueueMeasured(2, 1)}
    assert found(queues=letters) == [("bad", "4 dead letters wait for the failure desk")]
    assert found(unpublished=1200, oldest_unpublished=NOON) == [
        ("warn", "1,200 due tasks are not known to be at the broker")
    ]
    # What all tenants share is not for one of several.
    assert found(unpublished=1, oldest_unpublished=NOON, queues=letters, is_whole=False) == []


def test_a_status_service_that_does_not_measure_is_found() -> None:
    assert found(now=95 + STALE_SECONDS + 1) == [
        ("bad", "The status service has not measured for 3 min 1 s"),
    ]
    unknown = Snapshot(None, (), is_whole=True, broker_is_connected=True)
    assert [each.title for each in findings(unknown, NOON, REGISTRY)] == [
        "The status service has measured nothing yet"
    ]
    # What was not read yet is not reported as missing.
    unread = Snapshot(None, (), is_whole=False, broker_is_connected=True)
    assert findings(unread, NOON, REGISTRY) == []


def test_a_tenant_sees_its_own_part_of_a_measurement() -> None:
    work = {
        "default": [OpenWork("email", State.PENDING, 9, NOON, 1)],
        "acme": [OpenWork("email", State.PENDING, 2, after(-5), 0)],
    }
    gaps = {"acme": Gap(1, Unplaced("t", "k", "pending", NOON, ("lost",)))}
    measurement = Measurement(at=NOON, work=work, gaps=gaps)
    whole, own, other = (seen_by(measurement, tenant) for tenant in (None, "default", "globex"))

    assert whole is not None
    assert own is not None
    assert other is not None
    assert (whole.work, whole.is_whole) == ([OpenWork("email", State.PENDING, 11, after(-5), 1)], True)
    assert (own.work, own.gaps, own.is_whole) == (work["default"], [], False)
    assert (other.work, other.is_whole) == ([], False)
    assert len(whole.gaps) == 1

    # Where nothing is open, too, what all tenants share is shown only to the one that has all tasks.
    for has_tenants in (True, False):
        idle = Measurement(at=NOON, has_tenants=has_tenants)
        seen = [seen_by(idle, tenant) for tenant in (None, "default", "acme")]
        assert [each is not None and each.is_whole for each in seen] == [True, not has_tenants, False]


def test_each_service_in_use_and_each_with_open_work_has_a_row() -> None:
    work = [OpenWork("gone", State.PENDING, 2, NOON, 0)]
    rows = {row.name: row for row in services_of(measured(work=work), REGISTRY)}
    assert rows.keys() == {*REGISTRY.services, "gone"}
    assert (rows["gone"].pending, rows["gone"].oldest, rows["gone"].is_retired) == (2, NOON, True)
    assert (rows["email"].pending, rows["email"].oldest) == (0, None)
    assert (rows["email"].queued, rows["email"].consumers, rows["gone"].consumers) == (0, 1, None)
