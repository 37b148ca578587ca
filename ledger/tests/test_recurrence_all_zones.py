"""The slots around each change of clocks, in all time zones, beside a search that is slow and plainly right.

The search goes through real time minute by minute and looks at the clock on the wall, as cron itself does.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from itertools import pairwise, takewhile
from zoneinfo import ZoneInfo, available_timezones

import pytest

from waybill_ledger import Recurrence

WEEK, DAY, HOUR, MINUTE = timedelta(weeks=1), timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
#: Two years: some zones are changed at other times in the next (Ramadan), and each at least twice.
BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
#: How long before and after a change the slots are compared: the longest is of three hours.
BEFORE, AFTER = 3 * HOUR, 6 * HOUR
#: Where one begins to look, from the change on: from another day of the week and of the month, and close by.
BEGINNINGS = (-2 * DAY, -2 * HOUR, -MINUTE, -MINUTE / 2, 0 * HOUR, 10 * MINUTE, HOUR, 90 * MINUTE)

EVERY_HOUR = frozenset(range(24))


@dataclass(frozen=True)
class Meaning:
    """What an expression means, written out by hand."""

    minutes: frozenset[int]
    hours: frozenset[int]
    #: Minute and hour are both given.
    is_fixed: bool = False
    #: 0 is Monday, as in `datetime.weekday`.
    weekdays: frozenset[int] = frozenset(range(7))
    days: frozenset[int] = frozenset(range(1, 32))
    is_last_of_month: bool = False

    def matches(self, wall: datetime) -> bool:
        return (
            wall.minute in self.minutes
            and wall.hour in self.hours
            and wall.weekday() in self.weekdays
            and wall.day in self.days
            and not (self.is_last_of_month and (wall + DAY).day != 1)
        )


def of(*numbers: int) -> frozenset[int]:
    return frozenset(numbers)


MEANINGS = {
    "*/10 * * * *": Meaning(frozenset(range(0, 60, 10)), EVERY_HOUR),
    "30 * * * *": Meaning(of(30), EVERY_HOUR),
    "0 */2 * * *": Meaning(of(0), frozenset(range(0, 24, 2))),
    "*/15 0 * * *": Meaning(of(0, 15, 30, 45), of(0)),
    "*/30 1 * * SUN": Meaning(of(0, 30), of(1), weekdays=of(6)),
    "*/30 1-3 * * SAT,SUN": Meaning(of(0, 30), of(1, 2, 3), weekdays=of(5, 6)),
    "*/30 2 1-10 * *": Meaning(of(0, 30), of(2), days=frozenset(range(1, 11))),
    "*/10 23 L * *": Meaning(frozenset(range(0, 60, 10)), of(23), is_last_of_month=True),
    "0 0 * * *": Meaning(of(0), of(0), is_fixed=True),
    "30 1 * * *": Meaning(of(30), of(1), is_fixed=True),
    "0,30 2 * * *": Meaning(of(0, 30), of(2), is_fixed=True),
    "15 0-3,23 * * *": Meaning(of(15), of(0, 1, 2, 3, 23), is_fixed=True),
    "0-59/5 2 * * *": Meaning(frozenset(range(0, 60, 5)), of(2), is_fixed=True),
    "5 0,1,2 * * SUN": Meaning(of(5), of(0, 1, 2), is_fixed=True, weekdays=of(6)),
    "0 1 L * *": Meaning(of(0), of(1), is_fixed=True, is_last_of_month=True),
}


@dataclass(frozen=True, eq=False)
class Change:
    """A change of clocks in a zone."""

    zone: str
    at: datetime
    #: By how much clocks are put forward.
    by: timedelta

    @cached_property
    def minutes(self) -> list[tuple[datetime, datetime]]:
        """Each minute of real time around it, and what the clock shows then."""
        # A day earlier, so that the search for fixed times knows what the clock has shown.
        numbers = range(-(DAY + BEFORE) // MINUTE, AFTER // MINUTE)
        return [(self.at + n * MINUTE, wall(self.at + n * MINUTE, ZoneInfo(self.zone))) for n in numbers]


def wall(instant: datetime, zone: ZoneInfo) -> datetime:
    """What the clock shows."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


@cache
def all_changes() -> list[Change]:
    """Those of all zones; where some have the same, those of one of them."""
    by_signature: dict[tuple[object, ...], list[Change]] = {}
    for name in sorted(available_timezones()):
        found = list(changes(name))
        by_signature.setdefault(
            tuple((change.at, wall(change.at, ZoneInfo(name))) for change in found), found
        )
    return [change for found in by_signature.values() for change in found]


def changes(name: str) -> Iterator[Change]:
    zone = ZoneInfo(name)

    def offset(instant: datetime) -> timedelta:
        return wall(instant, zone) - instant.replace(tzinfo=None)

    def minute_of_change(early: datetime, late: datetime, after: timedelta) -> datetime:
        minutes = range((late - early) // MINUTE + 1)
        number = bisect_left(minutes, 1, key=lambda each: int(offset(early + each * MINUTE) == after))
        return early + number * MINUTE

    # No zone is changed there and back within a week.
    weeks = [BEGIN + number * WEEK for number in range((END - BEGIN) // WEEK + 1)]
    for (early, before), (late, after) in pairwise([(each, offset(each)) for each in weeks]):
        if before != after:
            yield Change(name, minute_of_change(early, late, after), after - before)


def searched(meaning: Meaning, change: Change) -> Iterator[datetime]:
    """The slots from `BEFORE` the change until `AFTER` it."""
    latest = change.minutes[0][1]
    for instant, shown in change.minutes:
        # What the clock shows for the first time since the minute before: more than one after a jump.
        new = (latest + number * MINUTE for number in range(1, (shown - latest) // MINUTE + 1))
        is_due = any(map(meaning.matches, new)) if meaning.is_fixed else meaning.matches(shown)
        if is_due and instant >= change.at - BEFORE:
            yield instant
        latest = max(latest, shown)


def test_the_zones_have_the_changes_that_matter() -> None:
    assert {change.by for change in all_changes()} >= {n * HOUR for n in (-2, -1, -0.5, 0.5, 1, 2)}
    assert {"America/Santiago", "Africa/Cairo"} <= {change.zone for change in all_changes()}


@pytest.mark.parametrize("expression", MEANINGS)
def test_the_slots_around_each_change_are_those_of_the_search(expression: str) -> None:
    for change in all_changes():
        recurrence = Recurrence(expression, None, BEGIN, change.zone)
        expected = list(searched(MEANINGS[expression], change))
        for beginning in BEGINNINGS:
            after = change.at + beginning
            since = max(after + timedelta(microseconds=1), change.at - BEFORE)
            slots = takewhile(lambda slot, change=change: slot < change.at + AFTER, recurrence.slots(after))  # type: ignore[misc]
            found = [slot for slot in slots if slot >= since]

            assert found == [slot for slot in expected if slot >= since], (change.zone, after)
