"""Events as they happen: with a real gateway, and over connections that are lost."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from clients_under_test import Ask, Scripted, problem, scripted

from waybill import Client
from waybill.calls.following import SILENT_SECONDS, Following
from waybill.calls.retrying import Limits
from waybill.kinds import EmailRequested
from waybill.problems import KeyEndedError, NoSuchTaskError, UnexpectedAnswerError, UnreachableError
from waybill_contracts.wire import LifecycleType
from waybill_testkit.gateway.served import Served
from waybill_testkit.samples import reported

MAIL = EmailRequested(to="ada@example.com", subject="Hello", text="Good morning.")
ID = "01a22a70-ebad-7341-b3c3-5bd5253e4852"
STREAM = {"Content-Type": "text/event-stream"}


def sent(number: int, type_: str) -> bytes:
    data = (
        f'{{"task_id": "{ID}", "kind": "a.b", "task_state": "running", "type": "{type_}", '
        '"at": "2026-03-01T12:00:00Z", "service": "s", "attempt": 1, "redrive_no": 0, "details": {}}'
    )
    return f"id: {number}\ndata: {data}\n\n".encode()


END = b'event: end\nid: 9-end\ndata: {"id": "1"}\n\n'


def followed(client: Any) -> Any:
    return client.events(ID)


@contextmanager
def soon(gateway: Served, *steps: Any) -> Iterator[None]:
    """Has lifecycle events happen, half a second apart."""

    def happen() -> None:
        for step in steps:
            pause.wait(0.5)
            gateway.happened(step)

    pause = threading.Event()
    thread = threading.Thread(target=happen)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def test_what_happens_to_a_task_comes_until_it_ends(ask: Ask, gateway: Served) -> None:
    task = ask(gateway.url, lambda client: client.submit(MAIL)).id
    steps = (reported(LifecycleType.STARTED, task), reported(LifecycleType.COMPLETED, task, seconds_after=1))
    with soon(gateway, *steps):
        events = ask(gateway.url, lambda client: client.events(task))
    again = ask(gateway.url, lambda client: client.events(task, last_event_id=events[0].id))
    nothing = ask(gateway.url, lambda client: client.events(task, last_event_id=f"{events[-1].id}-end"))

    assert [event.type for event in events] == ["task.started", "task.completed"]
    assert events[-1].task_state == "completed"
    assert {event.task_id for event in events} == {task}
    assert [event.type for event in again] == ["task.completed"]
    assert nothing == []


def test_what_happens_to_all_tasks_of_some_kinds_comes(gateway: Served) -> None:
    with Client(gateway.url) as client:
        contact = {"target": "crm", "resource": "contacts", "id": "7", "data": {}}
        other, task = client.submit("sync.requested", contact).id, client.submit(MAIL).id
        events = client.events(kinds=["email.requested"])
        first: list[Any] = []
        reader = threading.Thread(target=lambda: first.append(next(events)))
        reader.start()
        for n in range(1, 60):
            gateway.happened(
                reported(LifecycleType.STARTED, other, service="sync", kind="sync.requested", attempt=n),
                reported(LifecycleType.STARTED, task, attempt=n),
            )
            reader.join(0.2)
            if first:
                break
        assert (first[0].task_id, first[0].kind, first[0].type) == (task, "email.requested", "task.started")
        events.close()  # type: ignore[attr-defined] # it is a generator


def test_a_connection_that_is_lost_is_made_again_where_it_stood(ask: Ask) -> None:
    broken = Scripted(
        200, sent(1, "task.accepted"), STREAM | {"Content-Length": "9999", "Connection": "close"}
    )
    ended = Scripted(200, b": hello\n\n" + sent(2, "task.started") + b"id: 5\n:\n\n", STREAM)
    rest = Scripted(200, sent(6, "task.completed").replace(b"\n", b"\r\n") + END, STREAM)
    with scripted([broken, problem(503, "overloaded"), ended, rest]) as gateway:
        events = ask(gateway.url, followed)

    assert [(event.id, event.type) for event in events] == [
        ("1", "task.accepted"),
        ("2", "task.started"),
        ("6", "task.completed"),
    ]
    went_on = [received.headers.get("last-event-id") for received in gateway.received]
    assert went_on == [None, "1", "1", "5"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (problem(404, "no_such_task"), NoSuchTaskError),
        (problem(401, "key_ended"), KeyEndedError),
        (Scripted(200, b"data: <html>\n\n", STREAM), UnexpectedAnswerError),
    ],
)
def test_what_is_for_good_is_raised(ask: Ask, answer: Scripted, error: type[Exception]) -> None:
    with scripted([answer]) as gateway, pytest.raises(error):
        ask(gateway.url, followed)
    assert len(gateway.received) == 1


def test_a_gateway_that_stays_away_is_given_up(ask: Ask) -> None:
    with pytest.raises(UnreachableError):
        ask("http://127.0.0.1:1", followed, deadline=0.5)


def test_a_connection_that_went_silent_for_longer_than_the_deadline_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    following = Following(ID, (), None, Limits(deadline=30))
    assert [event.id for event in following.took(sent(1, "task.started"))] == ["1"]
    now[0] += SILENT_SECONDS
    lost = UnreachableError("nothing arrives", may_have_taken_effect=False)
    assert following.pause_after(lost) < 30, "it is lost from now on, not from the last byte on"
    now[0] += 31
    with pytest.raises(UnreachableError):
        following.pause_after(lost)


def test_a_redirect_is_no_stream_that_has_ended(ask: Ask) -> None:
    with scripted([Scripted(308, b"", {"Location": "https://elsewhere.example/"})]) as gateway:
        with pytest.raises(UnexpectedAnswerError, match="308"):
            ask(gateway.url, lambda client: client.events(ID))
        with pytest.raises(UnexpectedAnswerError, match="308"):
            ask(gateway.url, lambda client: client.cancel(ID))
