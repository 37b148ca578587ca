"""The life of a task as bars on a line of time: scheduled, in a queue, running, waiting for a retry. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from waybill_contracts.states import State
from waybill_gateway.tasks import SubtaskView, TaskView, TimelineEventView
from waybill_gateway.words import duration

#: How long a task has lived at least, so that there is a line of time.
_SHORTEST: Final = timedelta(milliseconds=1)
#: Steps of the line of time, in seconds; the first that gives few enough is taken.
_STEPS: Final = (
    *(n * 10.0**power for power in range(-4, 1) for n in (1, 2, 5)),
    *(10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 43_200.0),
    *(days * 86_400.0 for days in (1, 2, 7, 14, 30, 90, 365, 3650)),
)
_MOST_TICKS: Final = 4
#: The part of the width that is used: the rest is for the last label.
_WIDTH: Final = 94.0
_ENDS: Final = {
    "task.retrying": "retry",
    "task.snoozed": "snooze",
    "task.completed": "completed",
    "task.dead": "failed",
    "task.cancelled": "cancelled",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A length of time in which one thing was so."""

    #: `scheduled`, `queue`, `running`, `retry`, `snooze`, `completed`, `failed`, `cancelled`, `backoff`.
    look: str
    begins: datetime
    ends: datetime
    title: str


@dataclass(frozen=True, slots=True)
class Lane:
    """One service, and what it did."""

    name: str
    bars: list[Bar] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Waterfall:
    """Lanes below a line of time."""

    lanes: list[Lane]
    begins: datetime
    ends: datetime

    def x(self, moment: datetime) -> float:
        """The place of a moment, in percent of the width."""
        return round((moment - self.begins) / (self.ends - self.begins) * _WIDTH, 3)

    def width(self, bar: Bar) -> float:
        """The width of a bar, in percent."""
        return round(max(self.x(bar.ends) - self.x(bar.begins), 0), 3)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Marks of the line of time: place in percent, and the time since the beginning."""
        whole = (self.ends - self.begins).total_seconds()
        step = next((each for each in _STEPS if whole / each <= _MOST_TICKS), _STEPS[-1])
        return [
            (round(number * step / whole * _WIDTH, 3), duration(number * step) if number else "0")
            for number in range(int(whole / step) + 1)
        ]


def waterfall(task: TaskView, events: Sequence[TimelineEventView], now: datetime) -> Waterfall:
    """The bars of a task, one lane for each service.

    Args:
        task: as the API shows it.
        events: its timeline, in order.
        now: where bars of what still goes on end.
    """
    lanes = [
        _lane(task, part, [e for e in events if e.service == part.service], now) for part in task.subtasks
    ]
    ends = [bar.ends for lane in lanes for bar in lane.bars]
    return Waterfall(lanes, task.created_at, max([*ends, task.created_at + _SHORTEST]))


def _lane(task: TaskView, part: SubtaskView, events: Sequence[TimelineEventView], now: datetime) -> Lane:
    lane = Lane(part.service)
    waits_since, runs_since = task.created_at, None
    if task.due_at is not None and task.due_at > task.created_at:
        _add(lane, "scheduled", task.created_at, task.due_at, "scheduled")
        waits_since = task.due_at
    for event in events:
        attempt = f"attempt {event.attempt}" if event.attempt else ""
        if event.type == "task.redriven":
            waits_since, runs_since = event.at, None
        elif event.type == "task.started":
            _add(lane, "queue", waits_since, event.at, "in the queue")
            waits_since = runs_since = event.at
        elif event.type in _ENDS:
            began = runs_since or _by_its_seconds(event) or event.at
            if runs_since is None:
                _add(lane, "queue", waits_since, began, "in the queue")
            _add(lane, _ENDS[event.type], began, event.at, f"{attempt}: {_ENDS[event.type]}")
            waits_since, runs_since = event.at, None
            due = _next_attempt(event)
            if due is not None:
                _add(lane, "backoff", event.at, due, "waits for the next attempt")
                waits_since = due
    if part.state is State.RUNNING and runs_since is not None:
        _add(lane, "running", runs_since, now, f"attempt {part.attempt}: running")
    elif not part.state.is_terminal and part.state is not State.SCHEDULED:
        _add(lane, "queue", waits_since, now, "in the queue")
    return lane


def _add(lane: Lane, look: str, begins: datetime, ends: datetime, words: str) -> None:
    if ends > begins or look in _ENDS.values():
        length = duration((ends - begins).total_seconds())
        lane.bars.append(Bar(look, begins, max(begins, ends), f"{words}, {length}"))


def _by_its_seconds(event: TimelineEventView) -> datetime | None:
    """When an attempt began whose start was not reported."""
    seconds = event.details.get("seconds")
    return event.at - timedelta(seconds=seconds) if isinstance(seconds, int | float) else None


def _next_attempt(event: TimelineEventView) -> datetime | None:
    due = event.details.get("next_attempt_at")
    return datetime.fromisoformat(due) if isinstance(due, str) else None
