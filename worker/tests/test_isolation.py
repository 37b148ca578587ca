"""Attempts in processes of their own, and what the death of one of these shows."""

import asyncio
import multiprocessing
import os

import pytest
from lone_service import make, make_none

from waybill_contracts.wire.lifecycle import LifecycleEvent
from waybill_testkit.eventually import eventually
from waybill_testkit.machine import FORKS
from waybill_testkit.samples import email_event, envelope_of
from waybill_worker.attempt import isolation
from waybill_worker.attempt.attempt import Attempt
from waybill_worker.attempt.isolation import DiedAloneError, Isolation, LoneAttempt
from waybill_worker.errors import SnoozeError
from waybill_worker.inbox.claims import Claimed
from waybill_worker.outcome import Completed
from waybill_worker.runtime.settings import ProcessSettings


@pytest.fixture(autouse=True)
def _die_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "OUTLIVED_SECONDS", 0.01)


@pytest.fixture(autouse=True)
def _forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Does without the seconds that each process imports; tests of whole services start them as they are."""
    monkeypatch.setattr(isolation, "_processes", FORKS)


def lone(task_id: str) -> LoneAttempt:
    envelope = envelope_of(email_event(), task_id)
    attempt = Attempt(task_id, "email", envelope.kind, task_id, 1, 3, 0, None)
    return LoneAttempt(envelope, email_event(), attempt, Claimed("owner"))


def nobody(event: LifecycleEvent) -> asyncio.Future[None]:
    raise AssertionError(f"nothing is reported: {event}")


def isolated() -> Isolation[ProcessSettings]:
    return Isolation("email", ProcessSettings(), make)


async def test_its_outcome_comes_back_from_another_process() -> None:
    outcome = await isolated().run(lone("completes"), nobody, asyncio.Event())

    assert isinstance(outcome, Completed)
    assert outcome.result["by"] != os.getpid()
    assert await isolated().run(lone("lost"), nobody, asyncio.Event()) is None


async def test_what_it_reports_meanwhile_is_published_by_the_service() -> None:
    events: list[LifecycleEvent] = []

    def emit(event: LifecycleEvent) -> asyncio.Future[None]:
        events.append(event)
        return asyncio.get_running_loop().create_future()

    outcome = await isolated().run(lone("reports"), emit, asyncio.Event())

    assert isinstance(outcome, Completed)
    [event] = events
    assert event.data.progress is not None
    assert event.data.progress.text == f"by {outcome.result['by']}"


@pytest.mark.parametrize(("way", "status"), [("killed", -9), ("exits", 7)])
async def test_a_process_that_dies_of_it_is_seen_to_die(way: str, status: int) -> None:
    with pytest.raises(DiedAloneError, match=f"exit status {status}"):
        await isolated().run(lone(way), nobody, asyncio.Event())


async def test_a_process_that_never_came_to_run_it_says_nothing_against_it() -> None:
    with pytest.raises(SnoozeError, match="no process of its own could run it: exit status 1"):
        await Isolation("email", ProcessSettings(), make_none).run(lone("completes"), nobody, asyncio.Event())


async def test_who_cancels_it_ends_its_process() -> None:
    running = asyncio.create_task(isolated().run(lone("hangs"), nobody, asyncio.Event()))
    [process] = await eventually(multiprocessing.active_children)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    await eventually(lambda: not process.is_alive())


async def test_it_can_be_asked_to_stop() -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(isolated().run(lone("waits"), nobody, stop))
    await eventually(multiprocessing.active_children)
    assert not running.done()
    stop.set()

    assert isinstance(await running, Completed)
