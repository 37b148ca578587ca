"""A clock that is set forward is not believed at once, and one that is set back is."""

from datetime import UTC, datetime, timedelta

import pytest

from waybill_database import Records
from waybill_database.clock import LEAP, TRUST_AFTER, Clock

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


class Machine:
    """A machine whose clock can be set."""

    def __init__(self) -> None:
        self.shown = NOON
        self.elapsed = 1000.0

    def pass_(self, time: timedelta) -> None:
        self.shown += time
        self.elapsed += time.total_seconds()

    def clock(self, *, is_remote: bool = False) -> Clock:
        return Clock(is_remote=is_remote, system=lambda: self.shown, elapsed=lambda: self.elapsed)


def test_a_day_ahead_and_back_is_as_if_nothing_had_been() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.pass_(10 * SECOND)
    assert clock.now() == NOON + 10 * SECOND
    machine.shown += DAY
    assert (clock.now(), clock.leap) == (NOON + 10 * SECOND, DAY)
    machine.pass_(TRUST_AFTER - SECOND)
    assert clock.now() == NOON + TRUST_AFTER + 9 * SECOND
    machine.shown -= DAY
    machine.pass_(SECOND)
    assert (clock.now(), clock.leap) == (NOON + TRUST_AFTER + 10 * SECOND, None)
    # Nothing is left of it: the next one counts from its own beginning.
    machine.shown += DAY
    assert clock.now() < NOON + DAY


def test_what_stays_so_is_believed() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.shown += DAY
    assert clock.now() == NOON
    machine.pass_(TRUST_AFTER)
    assert (clock.now(), clock.leap) == (NOON + DAY + TRUST_AFTER, None)


def test_another_leap_counts_from_its_own_beginning() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.shown += DAY
    clock.now()
    machine.pass_(TRUST_AFTER - SECOND)
    machine.shown += DAY
    clock.now()
    machine.pass_(2 * SECOND)
    assert clock.now() == NOON + TRUST_AFTER + SECOND


def test_a_clock_that_is_set_back_is_believed_at_once() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.shown -= DAY
    assert clock.now() == NOON - DAY


def test_small_corrections_are_believed_at_once() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.shown += LEAP
    assert clock.now() == NOON + LEAP


def test_time_that_a_machine_sleeps_is_no_leap() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.pass_(DAY)
    assert clock.now() == NOON + DAY


def test_a_remote_clock_is_gone_by_whatever_this_machine_shows() -> None:
    machine = Machine()
    clock = machine.clock(is_remote=True)
    assert clock.now() == NOON
    clock.observe(NOON + DAY)  # the first time that it tells: ours is wrong
    machine.shown -= 3 * DAY
    machine.pass_(10 * SECOND)
    assert clock.now() == NOON + DAY + 10 * SECOND
    clock.observe(NOON + 5 * DAY)
    assert clock.now() == NOON + DAY + 10 * SECOND


async def test_records_go_by_the_clock_of_postgresql_and_else_by_this_machines(
    database_system: str, database_url: str
) -> None:
    records = Records(database_url)
    # This machine's clock is a day ahead, since before the process began.
    records.clock = Clock(is_remote=database_system == "postgresql", system=lambda: datetime.now(UTC) + DAY)
    await records.sync_clock()

    off = records.now() - datetime.now(UTC)
    assert abs(off - (DAY if database_system == "sqlite" else timedelta())) < 10 * SECOND
    await records.close()


@pytest.mark.parametrize("is_remote", [False, True])
def test_a_clock_of_its_own_shows_the_time(*, is_remote: bool) -> None:
    assert abs(Clock(is_remote=is_remote).now() - datetime.now(UTC)) < SECOND
