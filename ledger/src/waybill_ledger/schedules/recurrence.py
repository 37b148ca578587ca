"""The slots of a schedule, computed from a cron expression or an interval. Pure.

Cron expressions mean what they mean to the cron of Debian, in the time zone of the schedule; when clocks
change, that is:

- Minute and hour are both given (`30 2 * * *`): a wall time is due when the clock first shows it. One that
  the clock jumps over is due the moment after the jump, and all of one jump together once.
- Minute or hour begins with a star (`*/15 * * * *`, `30 * * * *`): a wall time is due whenever the clock
  shows it. What is jumped over is not due, and what comes twice is due twice.

CronSim parses an expression and lists its wall times, as if clocks never changed; this module finds the
instants of these times. (CronSim's own arithmetic in a zone misses slots after a jump at midnight or of half
an hour.)
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import dropwhile, takewhile
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

#: Cron's names for common expressions (crontab(5)).
NICKNAMES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
#: Minute, hour, day of the month, month, day of the week. A sixth field would be seconds: too often.
FIELDS: Final = 5
#: How far back `latest` searches first; the distance doubles until it is enough.
_FIRST_LOOK_BACK: Final = timedelta(hours=1)
_INSTANT: Final = timedelta(microseconds=1)
_MINUTE: Final = timedelta(minutes=1)
_NO_TIME: Final = timedelta(0)
#: Where `check_cron` begins its search.
_ANY_WALL: Final = datetime(2000, 1, 1)  # noqa: DTZ001 - what a clock shows, in no zone


class BadRecurrenceError(ValueError):
    """The recurrence is invalid; the message says why."""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """When a schedule is due.

    Attributes:
        cron: expression; None: `every` counts.
        every: interval.
        anchor: start of the first interval.
        timezone: IANA name of the zone of the expression.
        starts_at: no slot is earlier.
        ends_at: no slot is later.
    """

    cron: str | None
    every: timedelta | None
    anchor: datetime
    timezone: str = "UTC"
    starts_at: datetime | None = None
    ends_at: datetime | None = None

    def slots(self, after: datetime) -> Iterator[datetime]:
        """Slots later than `after`, in order, in UTC; may be endless."""
        if self.starts_at is not None:
            after = max(after, self.starts_at - _INSTANT)
        found = self._intervals(after) if self.cron is None else self._cron_slots(self.cron, after)
        return found if self.ends_at is None else takewhile(self._is_not_over, found)

    def first(self, after: datetime) -> datetime | None:
        """First slot later than `after`, or None."""
        return next(self.slots(after), None)

    def latest(self, since: datetime, until: datetime, most: int) -> list[datetime]:
        """The last `most` slots from `since` to `until`, both inclusive, in order."""
        look_back = _FIRST_LOOK_BACK
        while True:
            # Backwards from the end: a scan of all minutes of a year would be slow.
            begin = max(since, until - look_back)
            slots = takewhile(lambda slot: slot <= until, self.slots(begin - _INSTANT))
            found = deque(slots, maxlen=most)
            if len(found) == most or begin == since:
                return list(found)
            look_back *= 2

    def _is_not_over(self, slot: datetime) -> bool:
        return self.ends_at is None or slot <= self.ends_at

    def _intervals(self, after: datetime) -> Iterator[datetime]:
        if self.every is None:
            raise BadRecurrenceError("neither a cron expression nor an interval")
        number = max((after - self.anchor) // self.every + 1, 0)
        while True:
            yield self.anchor + number * self.every
            number += 1

    def _cron_slots(self, cron: str, after: datetime) -> Iterator[datetime]:
        zone = zone_of(self.timezone)
        walls = _parsed(cron, _wall_before_all(after, zone))
        found = _passing(walls, zone) if _goes_by_passing_time(cron) else _fixed(walls, zone)
        return dropwhile(lambda instant: instant <= after, found)


def check_cron(cron: str) -> None:
    """Checks a cron expression.

    Raises:
        BadRecurrenceError: it is invalid, or no time ever matches it.
    """
    if next(_parsed(cron, _ANY_WALL), None) is None:
        raise BadRecurrenceError("no day ever matches it")


def zone_of(name: str) -> ZoneInfo:
    """Time zone of an IANA name.

    Raises:
        BadRecurrenceError: there is no such zone.
    """
    if name not in _zones():
        raise BadRecurrenceError("not the IANA name of a time zone, like Europe/Berlin or UTC")
    return ZoneInfo(name)


def _parsed(cron: str, after: datetime) -> CronSim:
    """Wall times of an expression later than `after`, as if clocks never changed."""
    expression = NICKNAMES.get(cron, cron)
    if len(expression.split()) != FIELDS:
        known = ", ".join(NICKNAMES)
        raise BadRecurrenceError(
            f"give five fields (minute, hour, day of the month, month, day of the week), or one of {known}"
        )
    try:
        return CronSim(expression, after)
    except CronSimError as error:
        raise BadRecurrenceError(str(error).lower()) from error


def _goes_by_passing_time(cron: str) -> bool:
    minute, hour, *_ = NICKNAMES.get(cron, cron).split()
    return minute.startswith("*") or hour.startswith("*")


def _wall_before_all(after: datetime, zone: ZoneInfo) -> datetime:
    """A wall time earlier than the wall time of every instant later than `after`."""
    local = after.astimezone(zone)
    first, second = (_instant(local.replace(tzinfo=None), zone, fold) for fold in (0, 1))
    # In the first of two equal hours: its wall times come again.
    comes_again = second - first if after < second else _NO_TIME
    return local.replace(tzinfo=None, fold=0) - comes_again


def _fixed(walls: Iterable[datetime], zone: ZoneInfo) -> Iterator[datetime]:
    """First instant at which the clock shows each wall time or, if it jumps over it, a later one."""
    before: datetime | None = None
    for wall in walls:
        instant = _first_from(wall, zone)
        if before is None or instant > before:
            yield instant
        before = instant


def _passing(walls: Iterable[datetime], zone: ZoneInfo) -> Iterator[datetime]:
    """All instants at which the clock shows one of the wall times, in order."""
    second_times: deque[datetime] = deque()
    for wall in walls:
        first, second = (_instant(wall, zone, fold) for fold in (0, 1))
        while second_times and second_times[0] < first:
            yield second_times.popleft()
        if _is_shown(wall, zone):
            yield first
            if second > first:
                second_times.append(second)
    yield from second_times


def _first_from(wall: datetime, zone: ZoneInfo) -> datetime:
    while not _is_shown(wall, zone):
        wall += _MINUTE
    return _instant(wall, zone, 0)


def _is_shown(wall: datetime, zone: ZoneInfo) -> bool:
    return _instant(wall, zone, 0).astimezone(zone).replace(tzinfo=None, fold=0) == wall


def _instant(wall: datetime, zone: ZoneInfo, fold: int) -> datetime:
    return wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)


@cache
def _zones() -> frozenset[str]:
    # Reads a folder of some hundred files, so only once.
    return frozenset(available_timezones())
