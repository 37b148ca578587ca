"""Progress of attempts: what a handler reports, and what is sent of it."""

import asyncio
from collections.abc import AsyncIterator
from math import nan
from pathlib import Path
from typing import Any, cast

import pytest
from faststream.rabbit import RabbitBroker

from waybill_contracts.kinds.emails import EmailRequested
from waybill_contracts.privacy.mask import NO_MASK
from waybill_contracts.wire.lifecycle import LIFECYCLE_BATCH, LifecycleEvent, LifecycleType, ProgressInfo
from waybill_database import Records
from waybill_testkit.eventually import eventually
from waybill_testkit.samples import email_event, envelope_of
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.handlers import handler
from waybill_worker.attempt.retry_policy import RetryPolicy
from waybill_worker.attempt.runner import Attempts
from waybill_worker.attempt.work import Work
from waybill_worker.inbox.claims import Claimed
from waybill_worker.inbox.inbox import Inbox
from waybill_worker.limits import RunningHandlers, Watchdog
from waybill_worker.outcome import Completed
from waybill_worker.outputs import progress as progress_module
from waybill_worker.outputs.progress import ProgressReports
from waybill_worker.publish.publisher import OutgoingMessage, Publisher
from waybill_worker.publish.reporter import Reporter

POLICY = RetryPolicy(max_attempts=3, base_seconds=1, cap_seconds=1, jitter=0)


class Sent:
    """Stands for the reporter: keeps what is sent; it has arrived once the test says so."""

    def __init__(self, *, arrives: bool = True) -> None:
        self.arrives = arrives
        self.all: list[ProgressInfo] = []
        self.last: asyncio.Future[None]

    def __call__(self, progress: ProgressInfo) -> asyncio.Future[None]:
        self.all.append(progress)
        self.last = asyncio.get_running_loop().create_future()
        if self.arrives:
            self.last.set_result(None)
        return self.last

    @property
    def texts(self) -> list[str]:
        return [progress.text for progress in self.all]


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "INTERVAL_SECONDS", 0.01)


async def turns() -> None:
    """Lets everything happen that is due now."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.usefixtures("_soon")
async def test_of_many_reports_the_last_one_counts() -> None:
    sent = Sent()
    reports = ProgressReports(sent, NO_MASK)
    for number in range(1000):
        reports.report(number / 1000, f"{number}")
    await turns()
    assert sent.texts == ["999"]
    for number in range(1000, 2000):
        reports.report(None, f"{number}")

    await eventually(lambda: len(sent.all) > 1)
    assert sent.texts == ["999", "1999"]


async def test_not_more_than_one_a_second_is_sent_and_the_outcome_drops_the_rest() -> None:
    sent = Sent()
    reports = ProgressReports(sent, NO_MASK)
    reports.report(0.1, "first")
    await turns()
    reports.report(0.2, "second")
    await turns()
    assert sent.texts == ["first"]
    reports.end()
    reports._send_latest()  # noqa: SLF001 - as its timer would, a second later
    reports.report(0.3, "late")
    await turns()

    assert sent.texts == ["first"]


@pytest.mark.usefixtures("_soon")
async def test_while_the_broker_is_away_only_the_latest_waits() -> None:
    sent = Sent(arrives=False)
    reports = ProgressReports(sent, NO_MASK)
    reports.report(None, "first")
    await turns()
    for number in range(5):
        reports.report(None, f"{number}")
        reports._send_latest()  # noqa: SLF001 - as its timer would
    assert sent.texts == ["first"]
    sent.last.set_result(None)

    await eventually(lambda: len(sent.all) > 1)
    assert sent.texts == ["first", "4"]
    reports.end()


async def test_a_thread_may_report() -> None:
    sent = Sent()
    reports = ProgressReports(sent, NO_MASK)
    await asyncio.to_thread(reports.report, 0.5, "from a thread")

    await eventually(lambda: sent.texts == ["from a thread"])
    reports.end()


@pytest.mark.usefixtures("_soon")
async def test_what_makes_no_sense_harms_nothing() -> None:
    sent = Sent()
    reports = ProgressReports(sent, NO_MASK)
    reports.report(nan, cast("str", None))
    await turns()
    assert sent.all == []
    reports.report(2, "beyond")

    await eventually(lambda: sent.all)
    assert sent.all == [ProgressInfo(share=1, text="beyond")]


class ListPublisher(Publisher):
    """Keeps what is published."""

    def __init__(self) -> None:
        super().__init__(RabbitBroker(logger=None), timeout_seconds=1)
        self.events: list[LifecycleEvent] = []

    async def publish(self, message: OutgoingMessage) -> None:
        self.events += LIFECYCLE_BATCH.validate_json(message.body)


@pytest.fixture
async def inbox(tmp_path: Path) -> AsyncIterator[Inbox]:
    records = Records(f"sqlite:///{tmp_path}/inbox.db")
    inbox = Inbox(records, "email", lease_seconds=300)
    inbox.make_table()
    yield inbox
    await records.close()


async def test_a_handler_reports_and_its_event_is_masked(inbox: Inbox) -> None:
    publisher = ListPublisher()

    async def handle(_event: EmailRequested, attempt: Attempt) -> dict[str, Any]:
        await attempt.progress(0.4, "page 4 of 10, for ann@example.test")
        await eventually(lambda: any(e.type is LifecycleType.PROGRESS for e in publisher.events))
        await attempt.progress(0.5, "is obsolete")
        return {}

    attempts = Attempts("email", inbox, Reporter(publisher), Watchdog(), RunningHandlers())
    event = email_event()
    envelope = envelope_of(event, "t1")
    claim = await inbox.claim(envelope)
    assert isinstance(claim, Claimed)
    outcome = await attempts.run(Work(envelope, event, handler(EmailRequested, handle, POLICY)), claim, None)

    assert isinstance(outcome, Completed)
    assert [event.type for event in publisher.events] == [LifecycleType.STARTED, LifecycleType.PROGRESS]
    data = publisher.events[-1].data
    assert (data.task_id, data.attempt, data.max_attempts) == ("t1", 1, 3)
    assert data.progress == ProgressInfo(share=0.4, text="page 4 of 10, for ***")
