import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from waybill_worker.attempt.circuit import Circuit, CircuitPolicy, CircuitState
from waybill_worker.errors import (
    CircuitOpenError,
    OutOfServiceError,
    PermanentError,
    ServerFailureError,
    TransientError,
    UnansweredError,
    UnreachableError,
)

POLICY = CircuitPolicy(threshold=3, base_seconds=10, cap_seconds=60)


class Peer:
    """Another system, and the circuit to it, on a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls = 0
        self.error: BaseException | None = UnreachableError("down")
        self.circuit = Circuit("crm", POLICY, clock=lambda: self.now, draw=lambda: 0.0)

    async def answer(self) -> str:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return "done"

    async def call(self) -> Any:
        try:
            return await self.circuit.call(self.answer)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            return error

    async def fail(self, times: int) -> None:
        for _ in range(times):
            assert isinstance(await self.call(), UnreachableError)


async def test_it_opens_after_so_many_failures_in_a_row_and_nothing_is_done_while_it_is_open() -> None:
    peer = Peer()
    await peer.fail(3)
    peer.now = 9.5
    put_off = await peer.call()

    assert isinstance(put_off, CircuitOpenError)
    assert put_off.retry_after == pytest.approx(0.5)
    assert peer.calls == 3


@pytest.mark.parametrize("error", [UnreachableError, OutOfServiceError, ServerFailureError, UnansweredError])
async def test_whatever_speaks_against_the_other_side_as_a_whole_opens_it(error: type[Exception]) -> None:
    peer = Peer()
    peer.error = error("in trouble")
    for _ in range(3):
        assert isinstance(await peer.call(), error)

    assert isinstance(await peer.call(), CircuitOpenError)
    assert peer.calls == 3


@pytest.mark.parametrize("answer", [None, TransientError("busy"), PermanentError("no"), ValueError("defect")])
async def test_any_answer_in_between_starts_the_count_anew(answer: Exception | None) -> None:
    peer = Peer()
    await peer.fail(2)
    peer.error = answer
    await peer.call()
    peer.error = UnreachableError("down")
    await peer.fail(2)
    peer.error = None

    assert await peer.call() == "done"


async def test_one_probe_passes_and_its_answer_closes_the_circuit() -> None:
    peer = Peer()
    await peer.fail(3)
    peer.now, peer.error = 10, None
    go_on = asyncio.Event()

    async def slow_answer() -> str:
        await go_on.wait()
        return await peer.answer()

    probe = asyncio.create_task(peer.circuit.call(slow_answer))
    await asyncio.sleep(0)
    assert isinstance(await peer.call(), CircuitOpenError)
    go_on.set()
    assert await probe == "done"
    assert await peer.call() == "done"


async def test_each_probe_that_fails_opens_it_for_twice_as_long_up_to_the_cap() -> None:
    peer = Peer()
    await peer.fail(3)
    waits = []
    for _ in range(5):
        put_off = await peer.call()
        assert isinstance(put_off, CircuitOpenError)
        waits.append(put_off.retry_after)
        peer.now += put_off.retry_after or 0
        calls = peer.calls
        probe = await peer.call()
        assert peer.calls == calls + 1
        # The probe is snoozed like the others: an outage uses up no attempts.
        assert isinstance(probe, CircuitOpenError)
        assert str(probe) == "down (the circuit stays open)"

    assert waits == [10, 20, 40, 60, 60]


async def test_a_probe_that_is_stopped_leaves_its_place_to_the_next() -> None:
    peer = Peer()
    await peer.fail(3)
    peer.now = 10
    probe = asyncio.create_task(peer.circuit.call(asyncio.Event().wait))
    await asyncio.sleep(0)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    peer.error = None

    assert await peer.call() == "done"


async def test_those_that_passed_before_it_opened_do_not_open_it_further() -> None:
    peer = Peer()
    go_on = asyncio.Event()

    async def fails_late() -> None:
        await go_on.wait()
        raise UnreachableError("down")

    late = [asyncio.create_task(peer.circuit.call(fails_late)) for _ in range(5)]
    await asyncio.sleep(0)
    await peer.fail(3)
    go_on.set()
    await asyncio.gather(*late, return_exceptions=True)
    peer.now, peer.error = 10, None

    assert await peer.call() == "done"


async def test_opening_and_closing_are_told_once_each() -> None:
    peer = Peer()
    with capture_logs() as logs:
        await peer.fail(3)
        await peer.call()
        peer.now, peer.error = 10, None
        await peer.call()
        await peer.call()

    assert [(line["event"], line["target"]) for line in logs] == [
        ("circuit opened", "crm"),
        ("circuit closed", "crm"),
    ]


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_it_is_open_for_at_least_half_of_its_time_and_never_longer_than_the_cap(
    openings: int, draw: float
) -> None:
    longest = min(60, 10 * 2 ** min(openings - 1, 30))

    assert longest / 2 <= POLICY.open_seconds(openings, lambda: draw) <= longest


STEPS = st.lists(st.sampled_from(["pass", "fail", "answer", "give up", "wait"]), max_size=60)


@given(STEPS)
def test_whatever_happens_somebody_may_pass_once_the_time_is_over(steps: list[str]) -> None:
    state, now, number, under_way = CircuitState(), 0.0, 0, list[int]()
    for step in steps:
        if step == "wait":
            now += 7
        elif step == "pass" and state.wait(now, POLICY) == 0:
            number += 1
            state = state.passed(number)
            under_way.append(number)
        elif under_way and step in {"fail", "answer", "give up"}:
            caller = under_way.pop(0)
            state = {
                "fail": state.failed(caller, now, POLICY, lambda: 0.0),
                "answer": state.answered(),
                "give up": state.gave_up(caller),
            }[step]
        # While it is open at most one caller is out as a probe, and it is one that is under way.
        assert state.probe == 0 or state.probe in under_way
    for caller in under_way:
        state = state.gave_up(caller)

    assert state.wait(now + POLICY.cap_seconds, POLICY) == 0
