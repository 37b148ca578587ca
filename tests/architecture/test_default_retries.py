"""How long work is tried with the default settings, on a simulated clock.

The documents promise it, so the tables of docs/guarantees.md are held to what is computed here.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from waybill_contracts.kinds.catalog import CATALOG
from waybill_contracts.wire.lifecycle import DeadReason
from waybill_email.settings import EmailSettings
from waybill_images.settings import ImagesSettings
from waybill_sync.settings import SyncSettings
from waybill_worker.attempt.circuit import Circuit
from waybill_worker.attempt.kind_policies import policy_of
from waybill_worker.attempt.retry_policy import (
    GiveUp,
    Retry,
    RetryPolicy,
    Snooze,
    after_failure,
    after_snooze,
)
from waybill_worker.attempt.settings import CircuitSettings
from waybill_worker.broker.delay_ladder import round_up
from waybill_worker.consume.settings import ServiceSettings
from waybill_worker.errors import (
    HandlerError,
    OutOfServiceError,
    RateLimitedError,
    ServerFailureError,
    SnoozeError,
    TransientError,
    UnreachableError,
)
from waybill_worker.storage.errors import StoreUnavailable

GUARANTEES: Final = Path(__file__).parents[2] / "docs" / "guarantees.md"
BEGINNING: Final = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE: Final = 60.0
HOUR: Final = 60 * MINUTE
#: The longest and the shortest waits that the dice give.
DICE: Final = (0.0, 0.999_999)
#: What each service cannot do without.
REQUIRED: Final[dict[str, dict[str, Any]]] = {
    "email": {"sender": "a@waybill.test"},
    "images": {"object_store_url": "file:///objects"},
    "sync": {"targets": {"crm": "https://crm.example.com"}},
}
SETTINGS: Final[dict[str, type[ServiceSettings]]] = {
    "email": EmailSettings,
    "images": ImagesSettings,
    "sync": SyncSettings,
}
SUBTASKS: Final = [(service, name) for name, kind in CATALOG.items() for service in kind.services]


def default_policy(service: str, kind: str) -> RetryPolicy:
    settings = SETTINGS[service](inbox_url="sqlite:///inbox.db", sealing="off", **REQUIRED[service])
    return policy_of(settings, kind)


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ServiceSettings.model_fields:
        monkeypatch.delenv(f"WAYBILL_{name.upper()}", raising=False)


@dataclass
class Life:
    """What became of a subtask: its attempts, the waits after them, and its end."""

    attempts: int = 1
    waits: list[int] = field(default_factory=list)
    #: None: it was done.
    reason: DeadReason | None = None

    @property
    def seconds(self) -> int:
        return sum(self.waits)


def live(
    policy: RetryPolicy,
    answer: Callable[[float], Exception | None],
    *,
    dice: float = 0,
    deadline: float | None = None,
) -> Life:
    """Tries until it succeeds or is given up; `answer` says what an attempt at that second meets."""
    life, snooze_no, attempt_since = Life(), 0, 0
    ends = None if deadline is None else BEGINNING + timedelta(seconds=deadline)
    while (error := answer(life.seconds)) is not None:
        now = BEGINNING + timedelta(seconds=life.seconds)
        decision: Retry | Snooze | GiveUp
        if isinstance(error, SnoozeError):
            decision = after_snooze(
                error,
                policy=policy,
                snooze_no=snooze_no,
                attempt_since=BEGINNING + timedelta(seconds=attempt_since),
                deadline=ends,
                now=now,
                draw=lambda: dice,
            )
        else:
            decision = after_failure(
                error,
                policy=policy,
                attempt=life.attempts,
                max_attempts=policy.max_attempts,
                deadline=ends,
                now=now,
                draw=lambda: dice,
            )
        if isinstance(decision, GiveUp):
            life.reason = decision.reason
            return life
        life.waits.append(round_up(decision.seconds))
        if isinstance(decision, Snooze):
            snooze_no += 1
        else:
            life.attempts, snooze_no, attempt_since = life.attempts + 1, 0, life.seconds
    return life


def until(seconds: float, error: HandlerError) -> Callable[[float], Exception | None]:
    return lambda now: error if now < seconds else None


def always(error: HandlerError) -> Callable[[float], Exception | None]:
    return until(float("inf"), error)


@pytest.mark.parametrize("dice", DICE)
@pytest.mark.parametrize("minutes", [2, 5, 30, 60, 4 * 60, 18 * 60])
def test_a_greylisted_mail_is_sent_when_its_time_is_over(minutes: float, dice: float) -> None:
    greylisted = until(minutes * MINUTE, TransientError("450 4.2.0 greylisted"))
    life = live(default_policy("email", "email.requested"), greylisted, dice=dice)

    assert life.reason is None
    assert life.waits[0] >= 45, "a minute first: a server that was busy a second ago still is"
    # Not long after it, either.
    assert life.seconds <= minutes * MINUTE + max(2 * minutes * MINUTE, 70 * MINUTE)


@pytest.mark.parametrize("dice", DICE)
def test_mail_is_tried_for_most_of_a_day_and_then_given_up(dice: float) -> None:
    life = live(default_policy("email", "email.requested"), always(TransientError("450")), dice=dice)

    assert (life.attempts, life.reason) == (30, DeadReason.EXHAUSTED)
    assert 20 * HOUR < life.seconds < 28 * HOUR


@pytest.mark.parametrize("dice", DICE)
@pytest.mark.parametrize("seconds", [40, 10 * MINUTE, HOUR])
@pytest.mark.parametrize(
    "error", [UnreachableError("refused"), ServerFailureError("503"), RateLimitedError("429")]
)
@pytest.mark.parametrize("kind", ["sync.requested", "user.created"])
def test_a_target_that_is_down_for_a_while_costs_no_record(
    kind: str, error: HandlerError, seconds: float, dice: float
) -> None:
    life = live(default_policy("sync", kind), until(seconds, error), dice=dice)

    assert life.reason is None
    assert life.seconds <= seconds + max(40, min(1.1 * seconds, 18 * MINUTE)), "nor does it wait long after"


@pytest.mark.parametrize("dice", DICE)
@pytest.mark.parametrize(
    "error", [UnreachableError("refused"), OutOfServiceError("451 4.3.5"), StoreUnavailable("no answer")]
)
@pytest.mark.parametrize(("service", "kind"), SUBTASKS)
def test_what_cannot_be_reached_for_a_night_uses_up_no_attempt(
    service: str, kind: str, error: HandlerError, dice: float
) -> None:
    policy = default_policy(service, kind)
    life = live(policy, until(12 * HOUR, error), dice=dice)
    assert (life.attempts, life.reason) == (1, None)
    assert life.waits[:3] == sorted(life.waits[:3])
    assert life.waits[0] <= 2
    assert 12 * HOUR <= life.seconds <= 12 * HOUR + 18 * MINUTE

    life = live(policy, always(error), dice=dice)
    assert (life.attempts, life.reason) == (1, DeadReason.EXHAUSTED)
    assert 23.5 * HOUR < life.seconds <= 24 * HOUR + 18 * MINUTE


@pytest.mark.parametrize("dice", DICE)
@pytest.mark.parametrize("error", [TransientError("450"), UnreachableError("refused")])
def test_a_link_to_reset_a_password_is_not_mailed_after_it_has_run_out(
    error: HandlerError, dice: float
) -> None:
    policy = default_policy("email", "password_reset.requested")
    life = live(policy, always(error), dice=dice, deadline=HOUR)

    assert life.reason is DeadReason.DEADLINE
    assert 30 * MINUTE < life.seconds <= HOUR


def amount(seconds: float) -> str:
    if seconds < 1.5 * MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < 2 * HOUR else f"{seconds / HOUR:.0f} h"


def span(least: float, most: float) -> str:
    low, high = amount(least), amount(most)
    if low == high:
        return low
    unit = high.split()[1]
    return f"{low.removesuffix(unit).strip() if low.endswith(unit) else low}–{high}"  # noqa: RUF001 - as in print


def schedule(policy: RetryPolicy) -> str:
    """The row of the documents: attempts, the waits until they are all alike, and how long it lasts."""
    longest, shortest = (live(policy, always(TransientError("busy")), dice=dice) for dice in DICE)
    waits = [span(*pair) for pair in zip(shortest.waits, longest.waits, strict=True)]
    growing = sum(1 for wait in waits if wait != waits[-1])
    more = "" if len(waits) == growing + 1 else f", and so on each {waits[-1]}"
    lasts = span(shortest.seconds, longest.seconds)
    return f"| {policy.max_attempts} | {', '.join(waits[: growing + 1])}{more} | {lasts} |"


@pytest.mark.parametrize(("service", "kind"), SUBTASKS)
def test_the_documents_show_the_schedule_as_it_is(service: str, kind: str) -> None:
    rows = [line for line in GUARANTEES.read_text().splitlines() if line.startswith(f"| {service}:")]
    row = next((line for line in rows if f"`{kind}`" in line), None)

    assert row is not None, f"docs/guarantees.md has no row of {service} with `{kind}`"
    assert row.endswith(schedule(default_policy(service, kind)))


@pytest.mark.parametrize("dice", DICE)
def test_a_lone_record_outlives_a_night_in_which_its_target_only_fails(dice: float) -> None:
    now = 0.0
    circuit = Circuit("crm", CircuitSettings().circuit_policy(), clock=lambda: now, draw=lambda: dice)

    async def fails() -> None:
        raise ServerFailureError("503")

    async def done() -> None:
        return

    def answer(at: float) -> Exception | None:
        nonlocal now
        now = at
        try:
            asyncio.run(circuit.call(fails if at < 12 * HOUR else done))
        except HandlerError as error:
            return error
        return None

    life = live(default_policy("sync", "sync.requested"), answer, dice=dice)

    assert life.reason is None
    assert life.attempts == 9, "the eighth failure opens the circuit, and from then on nothing is counted"
    assert life.seconds <= 12 * HOUR + 18 * MINUTE
