"""Charts of the overview, as paths of SVG: there without scripts, and small. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, floor, log10
from typing import Final

from waybill_gateway.stats import CountsOf, StepStats

#: The drawing, in units of its own: it is shown as wide as there is room.
WIDTH, HEIGHT = 720, 120
#: Outcomes in the order in which they are piled up, and the word of each.
OUTCOMES: Final = (("completed", "completed"), ("failed", "failed"), ("cancelled", "cancelled"))
#: Times under the chart.
_MARKS: Final = 5
_GAP: Final = 0.22
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Chart:
    """Outcomes of each step as piles, and what was accepted as a line."""

    #: Class and path of each outcome.
    piles: Sequence[tuple[str, str]]
    line: str
    #: What the whole height stands for: tasks in a step.
    most: int
    #: Place on the line, from 0 to `WIDTH`, and words.
    marks: Sequence[tuple[float, str]]
    #: Steps of a row of the table that says the same in numbers.
    words: str


def chart_of(counts: CountsOf) -> Chart:
    """The chart of a time."""
    series = counts.series
    highest = max((max(step.accepted, _outcomes(step)) for step in series), default=0)
    most = _round(highest)
    wide = WIDTH / max(len(series), 1)
    return Chart(
        piles=[
            (name, path)
            for number, (name, _) in enumerate(OUTCOMES)
            if (path := _pile(series, number, most, wide))
        ],
        line=_line(series, most, wide),
        most=most,
        marks=list(_marks(counts, wide)),
        words=_words(counts),
    )


def _pile(series: Sequence[StepStats], number: int, most: int, wide: float) -> str:
    """The bars of one outcome, on top of those before it."""
    parts = []
    for place, step in enumerate(series):
        below = sum(getattr(step, name) for name, _ in OUTCOMES[:number])
        own = getattr(step, OUTCOMES[number][0])
        if own:
            left, width = place * wide + wide * _GAP / 2, wide * (1 - _GAP)
            top, bottom = _height(below + own, most), _height(below, most)
            # What there is can be seen, however little.
            top = min(top, bottom - 1)
            parts.append(f"M{left:.1f} {bottom:.1f}V{top:.1f}h{width:.1f}V{bottom:.1f}z")
    return "".join(parts)


def _line(series: Sequence[StepStats], most: int, wide: float) -> str:
    if not any(step.accepted for step in series):
        return ""
    points = [
        f"{(place + 0.5) * wide:.1f} {_height(step.accepted, most):.1f}" for place, step in enumerate(series)
    ]
    return "M" + "L".join(points)


def _height(number: int, most: int) -> float:
    return HEIGHT - number / most * HEIGHT


def _marks(counts: CountsOf, wide: float) -> Iterable[tuple[float, str]]:
    steps = len(counts.series)
    every = max(ceil(steps / _MARKS), 1)
    of_days = counts.until - counts.since > _DAY * 2
    for place in range(0, steps, every):
        at = counts.series[place].at
        yield place * wide, f"{at:%m-%d}" if of_days else f"{at:%H:%M}"


def _words(counts: CountsOf) -> str:
    total = counts.total
    return (
        f"{total.accepted:,} accepted, {total.completed:,} completed, {total.failed:,} failed, "
        f"{total.cancelled:,} cancelled between {_at(counts.since)} and {_at(counts.until)} UTC"
    )


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _outcomes(step: StepStats) -> int:
    return step.completed + step.failed + step.cancelled


def _round(number: int) -> int:
    """The next number that is easy to read, such as 1, 2, 5, 10, 20, 50."""
    if number <= 1:
        return 1
    unit = 10 ** floor(log10(number))
    found: int = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= number)
    return found
