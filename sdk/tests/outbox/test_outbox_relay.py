"""A relay between an application's database and a real gateway."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event
from typing import Any

import pytest
from application import GatewayWithLedger
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span
from shop import OUTBOX, Ordered, record
from sqlalchemy import Engine, func, select

from waybill import Client, outbox
from waybill.outbox.relay import running
from waybill.outbox.relay.wakers import Waker, waker_of


def left(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(OUTBOX)) or 0


def until(condition: Callable[[], bool], seconds: float = 30) -> float:
    """Waits for a condition; seconds that it took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() < begun + seconds, "not in time"
        time.sleep(0.005)
    return time.monotonic() - begun


def test_committed_rows_become_tasks_and_are_deleted(
    application: Engine, accepting: GatewayWithLedger, database_url: str
) -> None:
    with application.begin() as connection:
        ids = [outbox.submit(connection, record(number)) for number in range(10)]
    with outbox.run(database_url, gateway=accepting.url) as relay:
        until(lambda: left(application) == 0)
        with application.begin() as connection:
            ids.append(outbox.submit(connection, record("later")))
        until(lambda: left(application) == 0)
        until(lambda: relay.health.accepted_rows == len(ids))
    accepted = accepting.accepted()
    assert all(accepted[id_] in accepting.tasks() for id_ in ids)


def test_one_bad_row_holds_no_other_and_is_kept_with_its_reason(
    application: Engine, accepting: GatewayWithLedger, database_url: str
) -> None:
    with application.begin() as connection:
        good = [outbox.submit(connection, record(number)) for number in range(20)]
        bad = outbox.submit(connection, Ordered(order_id="7"))
        good += [outbox.submit(connection, record(number)) for number in range(20)]
    with outbox.run(database_url, gateway=accepting.url):
        until(lambda: left(application) == 1)
    with application.connect() as connection:
        [row] = connection.execute(select(OUTBOX))
    assert (row.id, row.state) == (bad, "refused")
    assert "kind: is not a registered kind" in row.error
    assert accepting.accepted().keys() >= set(good)


def test_a_time_that_has_passed_is_dropped_and_the_task_begins_at_once(
    application: Engine, accepting: GatewayWithLedger, database_url: str
) -> None:
    with application.begin() as connection:
        past = datetime.now(UTC) - timedelta(days=2)
        ids = [outbox.submit(connection, record(1), send_at=past), outbox.submit(connection, record(2))]
    with outbox.run(database_url, gateway=accepting.url):
        until(lambda: left(application) == 0)
    assert accepting.accepted().keys() >= set(ids)


class Watched:
    """A waker of which a test knows whether its relay waits."""

    def __init__(self, waker: Waker) -> None:
        self._waker = waker
        self.is_waiting = False
        self.mark = waker.mark
        self.close = waker.close

    def wait(self, stop: Event) -> None:
        self.is_waiting = True
        self._waker.wait(stop)
        self.is_waiting = False


def test_a_task_is_part_of_the_trace_of_its_submission_and_is_found_by_the_id_of_the_row(
    application: Engine, accepting: GatewayWithLedger, database_url: str
) -> None:
    request = SpanContext(trace_id=0xA1, span_id=0xB2, is_remote=False, trace_flags=TraceFlags(1))
    with use_span(NonRecordingSpan(request)), application.begin() as connection:
        id_ = outbox.submit(connection, record("traced"))
    with application.begin() as connection:
        other = outbox.submit(connection, record("untraced"))
    with outbox.run(database_url, gateway=accepting.url):
        until(lambda: left(application) == 0)
    with Client(accepting.url) as client:
        [task], [untraced] = list(client.list(q=id_)), list(client.list(q=other))
    assert task.id == accepting.accepted()[id_]
    assert task.trace_id == f"{0xA1:032x}"
    assert task.correlation_id == id_
    assert untraced.trace_id not in {None, task.trace_id}


def test_an_idle_relay_posts_at_once(
    application: Engine, accepting: GatewayWithLedger, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wakers: list[Watched] = []

    def watched(*arguments: Any) -> Watched:
        wakers.append(Watched(waker_of(*arguments)))
        return wakers[-1]

    monkeypatch.setattr(running, "waker_of", watched)
    with outbox.run(database_url, gateway=accepting.url) as relay:
        [waker] = wakers
        taken = []
        for number in range(1, 8):
            until(lambda: waker.is_waiting)
            with application.begin() as connection:
                outbox.submit(connection, record(number))
            taken.append(until(partial(lambda number: relay.health.accepted_rows == number, number)))
    assert sorted(taken)[3] < 0.5, taken
