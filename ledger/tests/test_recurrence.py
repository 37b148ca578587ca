"""When schedules are due; above all where clocks are changed."""

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waybill_ledger import BadRecurrenceError, Recurrence, check_cron, zone_of
from waybill_ledger.schedules.recurrence import NICKNAMES

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
#: With an hour, with half an hour, with a jump at midnight, with none at all.
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kolkata", "UTC")
EXPRESSIONS = (
    "30 2 * * *",
    "0,30 2 * * *",
    "0 0 * * *",
    "*/15 * * * *",
    "*/15 2 * * *",
    "30 * * * *",
    "0 */2 * * *",
    "5 0-3 * * SUN",
    "0 0 L * *",
)


def cron(expression: str, zone: str = "Europe/Berlin") -> Recurrence:
    return Recurrence(expression, None, NOON, zone)


def local(recurrence: Recurrence, after: datetime, most: int) -> list[str]:
    zone = ZoneInfo(recurrence.timezone)
    return [f"{slot.astimezone(zone):%d %H:%M %z}" for slot in islice(recurrence.slots(after), most)]


#: Shortly before clocks go from 02:00 to 03:00 in Berlin, and from 03:00 back to 02:00.
SPRING = datetime(2026, 3, 28, 23, 45, tzinfo=UTC)
AUTUMN = datetime(2026, 10, 24, 23, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # Once a day, come what may: right after the jump, and only once even if two slots are jumped over.
        ("30 2 * * *", ["29 03:00 +0200", "30 02:30 +0200"]),
        ("0,30 2 * * *", ["29 03:00 +0200", "30 02:00 +0200", "30 02:30 +0200"]),
        ("0 2,3 * * *", ["29 03:00 +0200", "30 02:00 +0200", "30 03:00 +0200"]),
        # By the time that passes: what is jumped over does not take place.
        ("30 * * * *", ["29 01:30 +0100", "29 03:30 +0200", "29 04:30 +0200"]),
        ("*/30 * * * *", ["29 01:00 +0100", "29 01:30 +0100", "29 03:00 +0200"]),
        ("*/30 2 * * *", ["30 02:00 +0200", "30 02:30 +0200"]),
    ],
)
def test_a_time_that_the_clock_jumps_over(expression: str, expected: list[str]) -> None:
    assert local(cron(expression), SPRING, len(expected)) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("30 2 * * *", ["25 02:30 +0200", "26 02:30 +0100"]),
        ("0 3 * * *", ["25 03:00 +0100", "26 03:00 +0100"]),
        ("30 * * * *", ["25 01:30 +0200", "25 02:30 +0200", "25 02:30 +0100", "25 03:30 +0100"]),
        ("*/30 2 * * *", ["25 02:00 +0200", "25 02:30 +0200", "25 02:00 +0100", "25 02:30 +0100"]),
    ],
)
def test_an_hour_that_comes_twice(expression: str, expected: list[str]) -> None:
    assert local(cron(expression), AUTUMN, len(expected)) == expected


def test_asked_within_the_second_of_two_equal_hours_it_does_not_go_back() -> None:
    second_half_past_two = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)

    assert local(cron("30 2 * * *"), second_half_past_two, 1) == ["26 02:30 +0100"]


def test_a_midnight_that_the_clock_jumps_over_is_right_after_it() -> None:
    assert local(cron("0 0 * * *", "Africa/Cairo"), datetime(2026, 4, 23, 12, tzinfo=UTC), 2) == [
        "24 01:00 +0300",
        "25 00:00 +0300",
    ]


@cache
def changes(zone: str) -> list[datetime]:
    """When clocks are changed in 2026; its beginning where they never are."""
    hours = [datetime(2026, 1, 1, tzinfo=UTC) + n * HOUR for n in range(365 * 24)]
    offsets = [hour.astimezone(ZoneInfo(zone)).utcoffset() for hour in hours]
    found = [hours[n] for n in range(1, len(hours)) if offsets[n] != offsets[n - 1]]
    return found or hours[:1]


@st.composite
def around_changes(draw: st.DrawFn) -> tuple[Recurrence, datetime]:
    """A recurrence, and a moment in its zone within a day of when clocks are changed."""
    zone = draw(st.sampled_from(ZONES))
    change = draw(st.sampled_from(changes(zone)))
    seconds = draw(st.integers(-24 * 3600, 6 * 3600))
    return cron(draw(st.sampled_from(EXPRESSIONS)), zone), change + timedelta(seconds=seconds)


@given(around_changes(), st.integers(0, 6 * 3600))
def test_the_slots_are_the_same_wherever_one_begins(
    given_: tuple[Recurrence, datetime], seconds: int
) -> None:
    recurrence, after = given_
    slots = list(islice(recurrence.slots(after), 8))
    begin = after + timedelta(seconds=seconds)

    assert all(earlier < later for earlier, later in pairwise([after, *slots]))
    expected = [slot for slot in slots if slot > begin]
    assert list(islice(recurrence.slots(begin), len(expected))) == expected


@given(around_changes(), st.integers(0, 3 * 24 * 60), st.integers(1, 5))
def test_the_latest_are_the_last_of_all(given_: tuple[Recurrence, datetime], minutes: int, most: int) -> None:
    recurrence, since = given_
    until = since + timedelta(minutes=minutes)
    every: list[datetime] = []
    for slot in recurrence.slots(since - timedelta(microseconds=1)):
        if slot > until:
            break
        every.append(slot)

    assert recurrence.latest(since, until, most) == every[-most:]


def test_the_latest_of_a_year_of_minutes_are_found_at_once() -> None:
    looked_at = 0

    class Counted(Recurrence):
        def slots(self, after: datetime):  # type: ignore[no-untyped-def]
            nonlocal looked_at
            for slot in Recurrence.slots(self, after):
                looked_at += 1
                yield slot

    latest = Counted("* * * * *", None, NOON).latest(NOON - timedelta(days=365), NOON, 3)

    assert latest == [NOON - timedelta(minutes=n) for n in (2, 1, 0)]
    assert looked_at < 100


def test_intervals_are_counted_from_their_anchor() -> None:
    every = Recurrence(None, timedelta(seconds=90), NOON)

    assert list(islice(every.slots(NOON), 2)) == [NOON + timedelta(seconds=n) for n in (90, 180)]
    assert every.first(NOON - HOUR) == NOON
    assert every.latest(NOON, NOON + HOUR, 2) == [NOON + timedelta(seconds=n) for n in (3510, 3600)]


def test_no_slot_is_before_the_start_or_after_the_end() -> None:
    bounded = Recurrence("0 * * * *", None, NOON, "UTC", NOON + HOUR, NOON + 3 * HOUR)

    assert list(bounded.slots(NOON - HOUR)) == [NOON + n * HOUR for n in (1, 2, 3)]
    assert bounded.first(NOON + 3 * HOUR) is None
    assert bounded.latest(NOON, NOON + 9 * HOUR, 2) == [NOON + n * HOUR for n in (2, 3)]


@pytest.mark.parametrize("nickname", NICKNAMES)
def test_each_nickname_is_an_expression(nickname: str) -> None:
    check_cron(nickname)


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("*/5 * * * * *", "five fields"),
        ("@never", "five fields"),
        ("60 * * * *", "bad minute"),
        ("* 24 * * *", "bad hour"),
        ("* * 31 2 *", "bad day-of-month"),
        ("* * * * 9", "bad day-of-week"),
        ("*/0 * * * *", "bad minute"),
        ("* * */20 * 1L", "no day ever"),
    ],
)
def test_what_is_no_expression_is_refused(expression: str, complaint: str) -> None:
    with pytest.raises(BadRecurrenceError, match=complaint):
        check_cron(expression)


@given(st.lists(st.text("0123456789*/,-#LWMONé ", max_size=6), min_size=5, max_size=5).map(" ".join))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        check_cron(text)
    except BadRecurrenceError:
        return
    assert cron(text).first(NOON) is not None


@pytest.mark.parametrize("name", ["", "Berlin", "../../etc/passwd", "europe/berlin", "+01:00"])
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(BadRecurrenceError, match="IANA"):
        zone_of(name)
