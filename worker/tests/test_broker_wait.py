"""The wait for the broker, without one: what it repeats, what it reports, and how it is cancelled."""

import asyncio
from typing import Any

import pytest
from aio_pika.exceptions import ChannelNotFoundEntity, ProbableAuthenticationError
from structlog.testing import capture_logs

from waybill_worker.broker import wait as broker_wait
from waybill_worker.broker.wait import BrokerWait


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DECLARED_SECONDS", "REFUSED_SECONDS", "REFUSAL_REPORT_SECONDS"):
        monkeypatch.setattr(broker_wait, name, 0.01)
    monkeypatch.setattr(broker_wait, "RECONNECT_SECONDS", (0.01, 0.01))


class Attempt:
    """Fails with the given errors, then succeeds."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)

    async def __call__(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "connected"


def reported(lines: list[Any]) -> list[tuple[str, str]]:
    return [(line["log_level"], line["event"]) for line in lines]


async def test_each_kind_of_trouble_is_reported_once() -> None:
    away = [ConnectionError("refused by the system") for _ in range(3)]
    undeclared = [ChannelNotFoundEntity("no queue 'email.work'") for _ in range(3)]
    refused = [ProbableAuthenticationError("ACCESS_REFUSED") for _ in range(5)]
    with capture_logs() as lines:
        wait = BrokerWait()
        assert await wait.until(Attempt(*away, *undeclared, *refused)) == "connected"

    assert reported(lines) == [
        ("warning", "the broker cannot be reached, trying again"),
        ("info", "waiting for the topology"),
        ("critical", "the broker refuses this process, which waits until that is corrected"),
    ]
    assert wait.lasting_refusal is None


async def test_a_refusal_of_a_moment_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that starts may refuse a virtual host before it has opened it."""
    monkeypatch.setattr(broker_wait, "REFUSAL_REPORT_SECONDS", 10)
    with capture_logs() as lines:
        await BrokerWait().until(Attempt(*(ProbableAuthenticationError("ACCESS_REFUSED") for _ in range(3))))

    assert reported(lines) == []


async def test_a_defect_is_no_reason_to_wait() -> None:
    with pytest.raises(LookupError):
        await BrokerWait().until(Attempt(LookupError("a defect")))


@pytest.mark.parametrize("made_of_it", [asyncio.CancelledError(), ConnectionError("the client's own words")])
async def test_who_is_cancelled_ends_whatever_the_client_makes_of_it(made_of_it: BaseException) -> None:
    begun = asyncio.Event()

    async def attempt() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise made_of_it from None

    waiting = asyncio.create_task(BrokerWait().until(attempt))
    await begun.wait()
    waiting.cancel()
    await asyncio.wait({waiting}, timeout=10)

    assert waiting.cancelled()


async def test_a_cancellation_by_the_client_is_taken_for_a_broker_that_is_away() -> None:
    with capture_logs() as lines:
        assert await BrokerWait().until(Attempt(asyncio.CancelledError())) == "connected"

    assert reported(lines) == [("warning", "the broker cannot be reached, trying again")]
