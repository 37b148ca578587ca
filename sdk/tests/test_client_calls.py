"""The clients with a real gateway: what they send is accepted, and what it answers is read."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from clients_under_test import Ask

from waybill import Submission
from waybill.kinds import EmailRequested, SyncRequested
from waybill.problems import (
    InvalidDataError,
    KeyReusedError,
    NoSuchTaskError,
    TasksRefusedError,
    UnknownKindError,
)
from waybill_testkit.gateway.served import Served

MAIL = EmailRequested(to="ada@example.com", subject="Hello", text="Good morning.")
CONTACT: dict[str, Any] = {"target": "crm", "resource": "contacts", "id": "7", "data": {"vip": True}}


def test_an_event_becomes_a_task(ask: Ask, gateway: Served) -> None:
    accepted = ask(gateway.url, lambda client: client.submit(MAIL))
    task = ask(gateway.url, lambda client: client.get(accepted.id))

    assert accepted.kind == task.kind == "email.requested"
    assert (accepted.state, task.state, task.is_ended) == ("pending", "pending", False)
    assert [subtask.service for subtask in task.subtasks] == ["email"]


def test_a_kind_and_its_data_become_a_task(ask: Ask, gateway: Served) -> None:
    accepted = ask(gateway.url, lambda client: client.submit("sync.requested", CONTACT, version=1))
    task = ask(gateway.url, lambda client: client.get(accepted.id))

    assert task.kind == "sync.requested"
    assert task.about == "crm/contacts/7"


def test_a_task_may_begin_later_and_have_a_priority(ask: Ask, gateway: Served) -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    later = ask(gateway.url, lambda client: client.submit(MAIL, send_at=at, priority="high"))
    soon = ask(gateway.url, lambda client: client.submit(MAIL, delay_seconds=timedelta(minutes=1)))
    found = ask(gateway.url, lambda client: client.get(later.id))

    assert later.state == soon.state == "scheduled"
    assert found.priority == "high"
    assert abs(found.due_at - at) < timedelta(seconds=1)


def test_a_key_makes_one_task(ask: Ask, gateway: Served) -> None:
    first = ask(gateway.url, lambda client: client.submit(MAIL, key="mail-7"))
    again = ask(gateway.url, lambda client: client.submit(MAIL, key="mail-7"))
    with pytest.raises(KeyReusedError):
        ask(gateway.url, lambda client: client.submit("sync.requested", CONTACT, key="mail-7"))

    assert again.id == first.id


def test_the_name_and_trace_of_a_request_are_those_of_its_task(ask: Ask, gateway: Served) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    accepted = ask(
        gateway.url,
        lambda client: client.submit(MAIL, request_id="r-7", traceparent=f"00-{trace}-00f067aa0ba902b7-01"),
    )
    task = ask(gateway.url, lambda client: client.get(accepted.id))

    assert (task.correlation_id, task.trace_id) == ("r-7", trace)


def test_data_that_breaks_its_contract_is_refused(ask: Ask, gateway: Served) -> None:
    with pytest.raises(InvalidDataError) as caught:
        ask(gateway.url, lambda client: client.submit("sync.requested", CONTACT | {"id": ""}))
    with pytest.raises(UnknownKindError):
        ask(gateway.url, lambda client: client.submit("order.placed", {}))

    assert [each.field for each in caught.value.errors] == ["/data/id"]


def test_several_tasks_are_accepted_in_their_order(ask: Ask, gateway: Served) -> None:
    tasks = [MAIL, Submission("sync.requested", CONTACT, key="contact-7", delay_seconds=60)]
    accepted = ask(gateway.url, lambda client: client.submit_many(tasks))
    again = ask(gateway.url, lambda client: client.submit_many(tasks[1:]))

    assert [(each.kind, each.state) for each in accepted] == [
        ("email.requested", "pending"),
        ("sync.requested", "scheduled"),
    ]
    assert again[0].id == accepted[1].id


def test_of_several_tasks_none_is_accepted_if_one_is_refused(ask: Ask, gateway: Served) -> None:
    wrong = Submission("sync.requested", CONTACT | {"target": "nowhere"}, key="contact-8")
    unknown = Submission("order.placed", {})
    with pytest.raises(TasksRefusedError) as caught:
        ask(gateway.url, lambda client: client.submit_many([MAIL, wrong, MAIL, unknown]))

    assert sorted(caught.value.refused) == [1, 3]
    assert caught.value.refused[3][0].field == "/kind"
    assert ask(gateway.url, lambda client: client.list()) == []


def test_a_listing_goes_on_over_its_pages(ask: Ask, gateway: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("waybill.calls.paging.MOST_ON_A_PAGE", 2)
    records = [
        SyncRequested(target="crm", resource="contacts", id=str(number), data={}) for number in range(5)
    ]
    accepted = ask(gateway.url, lambda client: client.submit_many([MAIL, *records]))
    ids = [each.id for each in accepted]

    def found(**filters: Any) -> list[str]:
        return [task.id for task in ask(gateway.url, lambda client: client.list(**filters))]

    assert sorted(found()) == sorted(ids)
    assert len(found(limit=3)) == 3
    assert found(limit=0) == []
    assert found(kind="email.requested", state="pending", since=datetime(2026, 1, 1, tzinfo=UTC)) == ids[:1]


def test_a_task_has_a_timeline_and_can_be_cancelled(ask: Ask, gateway: Served) -> None:
    accepted = ask(gateway.url, lambda client: client.submit(MAIL))
    cancelled = ask(gateway.url, lambda client: client.cancel(accepted.id))
    timeline = ask(gateway.url, lambda client: client.timeline(accepted.id))

    assert cancelled.outcome in {"prevented", "stopping"}
    assert timeline.task_id == accepted.id
    assert timeline.events[0].type == "task.accepted"


def test_a_task_that_is_not_there_is_no_such_task(ask: Ask, gateway: Served) -> None:
    with pytest.raises(NoSuchTaskError):
        ask(gateway.url, lambda client: client.get("01a22a70-ebad-7341-b3c3-5bd5253e4852"))


def test_an_id_cannot_lead_to_another_path(ask: Ask, gateway: Served) -> None:
    with pytest.raises(ValueError, match="no task id"):
        ask(gateway.url, lambda client: client.get("../kinds?limit=1"))
