"""When a schedule is due: its slots, computed from a cron expression or an interval. Pure.

Cron expressions mean what Debian's cron takes them to mean, in the schedule's time zone; where clocks are
changed, that is:

- Minute and hour are both given (`30 2 * * *`): once a day, come what may. A time that the clock jumps over
  is due the moment after the jump; one that comes twice is due the first time only.
- Minute or hour begins with a star (`*/15 * * * *`, `30 * * * *`): by the time that passes. What is jumped
  over does not take place, and an hour that comes twice is due twice.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import takewhile
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
#: Minute, hour, day of the month, month, day of the week. A sixth would be seconds: too often for us.
FIELDS: Final = 5
#: How far back `latest` looks at first; twice as far each time that is not enough.
_FIRST_LOOK_BACK: Final = timedelta(hours=1)
_INSTANT: Final = timedelta(microseconds=1)


class BadRecurrenceError(ValueError):
    """No such recurrence; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """When a schedule is due.

    Attributes:
        cron: the expression; None: by `every`.
        every: from `anchor` on, again and again.
        anchor: where intervals are counted from.
        timezone: IANA name of the zone that the expression speaks of.
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
        """The slots later than `after`, in order, in UTC; perhaps without end."""
        if self.starts_at is not None:
            after = max(after, self.starts_at - _INSTANT)
        found = self._intervals(after) if self.cron is None else self._cron_slots(self.cron, after)
        return found if self.ends_at is None else takewhile(self._is_not_over, found)

    def first(self, after: datetime) -> datetime | None:
        """The first slot later than `after`, if there is one."""
        return next(self.slots(after), None)

    def latest(self, since: datetime, until: datetime, most: int) -> list[datetime]:
        """The last `most` slots from `since` to `until`, both included; in order."""
        look_back = _FIRST_LOOK_BACK
        while True:
            # From the end: nobody wants to count the minutes of a year for the last of them.
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
        for slot in _parsed(cron, after.astimezone(zone)):
            instant = slot.astimezone(UTC)
            # An hour that comes twice is given by its first time, even when asked in the second. And a
            # midnight that the clock jumps over is no time at all.
            is_real = instant.astimezone(zone).replace(tzinfo=None) == slot.replace(tzinfo=None)
            if instant > after and is_real:
                yield instant


def check_cron(cron: str) -> None:
    """Checks that there is such an expression.

    Raises:
        BadRecurrenceError: there is not, or it never comes true.
    """
    if next(_parsed(cron, datetime(2000, 1, 1, tzinfo=UTC)), None) is None:
        raise BadRecurrenceError("no day ever meets it")


def zone_of(name: str) -> ZoneInfo:
    """The time zone of this IANA name.

    Raises:
        BadRecurrenceError: there is none.
    """
    if name not in _zones():
        raise BadRecurrenceError("not the IANA name of a time zone, like Europe/Berlin or UTC")
    return ZoneInfo(name)


def _parsed(cron: str, after: datetime) -> CronSim:
    expression = NICKNAMES.get(cron, cron)
    if len(expression.split()) != FIELDS:
        known = ", ".join(NICKNAMES)
        raise BadRecurrenceError(
            f"give five fields (minute, hour, day of the month, month, day of the week), or one of {known}"
        )
    # CronSim knows UTC by this object.
    in_zone = after.replace(tzinfo=UTC) if after.tzinfo == ZoneInfo("UTC") else after
    try:
        return CronSim(expression, in_zone)
    except CronSimError as error:
        raise BadRecurrenceError(str(error).lower()) from error


@cache
def _zones() -> frozenset[str]:
    # Reads a folder of some hundred files: once.
    return frozenset(available_timezones())
