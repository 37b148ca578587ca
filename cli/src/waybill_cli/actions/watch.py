"""Following a task or redrive by polling; short outages of the gateway are tolerated."""

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from waybill_cli.command_line import CommandError, Exit, Unreachable
from waybill_cli.output import Output, event_line
from waybill_cli.session import Session
from waybill_contracts.states import State

_T = TypeVar("_T")

#: Pause between two polls.
POLL_SECONDS: Final = 0.5
#: How long the gateway may be away before the watch is given up: longer than a restart takes.
OUTAGE_SECONDS: Final = 60.0
#: Fields that identify an event of a timeline: late events may be inserted between known ones.
_FACT: Final = ("type", "service", "redrive_no", "attempt", "at")


class OutageTolerance:
    """Polls, and tolerates a gateway that answered before and is away for a moment."""

    def __init__(self, out: Output, seconds: float = OUTAGE_SECONDS) -> None:
        self._out = out
        self._seconds = seconds
        self._away_since: float | None = None
        self._was_there = False

    def ask(self, question: Callable[[], _T]) -> _T | None:
        """The answer, or None if there is none now.

        Raises:
            Unreachable: the gateway never answered, or has been away for too long.
        """
        try:
            answer = question()
        except Unreachable as away:
            now = time.monotonic()
            if self._away_since is None:
                self._away_since = now
                if self._was_there:
                    self._out.remark(f"{away.message}; trying again")
            if not self._was_there or now - self._away_since > self._seconds:
                raise
            return None
        self._was_there, self._away_since = True, None
        return answer


def follow_task(session: Session, task_id: str, timeout: float | None) -> State:
    """Prints what happens to a task, as it happens, until it has its outcome.

    Returns:
        The outcome.

    Raises:
        CommandError: there was none within `timeout` seconds.
    """
    tolerance = OutageTolerance(session.out)
    deadline = None if timeout is None else time.monotonic() + timeout
    printed: set[tuple[Any, ...]] = set()
    while True:
        # The state is fetched first, so that the timeline has every event that led to it.
        task = tolerance.ask(lambda: session.gateway.get(f"/v1/tasks/{task_id}"))
        timeline = tolerance.ask(lambda: session.gateway.get(f"/v1/tasks/{task_id}/timeline"))
        if task is not None and timeline is not None:
            for event in timeline["events"]:
                fact = tuple(event[name] for name in _FACT)
                if fact not in printed:
                    printed.add(fact)
                    session.out.result(event, event_line(event))
            state = State(task["state"])
            if state.is_terminal:
                session.out.result(task, f"{task_id} is {state}")
                return state
        if deadline is not None and time.monotonic() >= deadline:
            raise CommandError(Exit.NO, f"{task_id} has no outcome after {timeout:g} s; it continues")
        time.sleep(POLL_SECONDS)
